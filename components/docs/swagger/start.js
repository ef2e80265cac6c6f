// Starts Swagger UI. A separate file, because the Content-Security-Policy forbids inline scripts.

SwaggerUIBundle({
  dom_id: '#swagger-ui',
  url: '/openapi.json',
  deepLinking: true,
  displayRequestDuration: true,
  // Disables the online validator, which would send the URL of the document to a Swagger server.
  validatorUrl: null,
});
