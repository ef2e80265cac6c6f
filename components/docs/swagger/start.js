// Starts Swagger UI. In a file of its own, because the page's policy allows no script inside of it.

SwaggerUIBundle({
  dom_id: '#swagger-ui',
  url: '/openapi.json',
  deepLinking: true,
  displayRequestDuration: true,
  // It would ask a server of Swagger's whether the document is valid.
  validatorUrl: null,
});
