//! The courier with a real RabbitMQ and a real PostgreSQL. The application is simulated, except in `chaos`.

mod broker;
mod chaos;
mod command;
mod dead_letters;
mod deliveries;
mod pooler;
mod server;
mod support;
mod tls;
