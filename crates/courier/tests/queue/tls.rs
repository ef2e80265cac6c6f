//! TLS to the broker and to the application, through proxies that decrypt it.

use std::path::PathBuf;
use std::sync::Arc;

use courier::queue::Queue;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::support::process::{Courier, command};
use crate::support::{Bed, Mode, RUNTIME, folder};

/// Starts a proxy for `localhost` that decrypts TLS. Returns its port, and a directory with the file
/// `ca.pem`, the certificate to trust.
async fn proxy(target: String) -> (u16, TempDir) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("generate a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("supported versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a valid certificate");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = listener.local_addr().expect("address").port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("accept");
            let (acceptor, target) = (acceptor.clone(), target.clone());
            tokio::spawn(async move {
                // A client that does not trust the certificate gives up.
                let mut stream = acceptor.accept(stream).await.ok()?;
                let mut target = TcpStream::connect(target).await.expect("connect");
                copy_bidirectional(&mut stream, &mut target).await.ok()
            });
        }
    });
    let folder = folder("tls");
    std::fs::write(folder.path().join("ca.pem"), cert.pem()).expect("write");
    (port, folder)
}

/// Replaces the address of a bed's broker by that of a proxy. Returns the certificate to trust.
async fn encrypt_broker(bed: &mut Bed) -> (PathBuf, TempDir) {
    let url = bed.amqp.take().expect("a broker");
    let (credentials, rest) = url.rsplit_once('@').expect("credentials");
    let (address, vhost) = rest.split_once('/').expect("a virtual host");
    let (port, folder) = proxy(address.to_owned()).await;
    let credentials = credentials.replace("amqp://", "amqps://");
    bed.amqp = Some(format!("{credentials}@localhost:{port}/{vhost}"));
    (folder.path().join("ca.pem"), folder)
}

#[test]
#[cfg_attr(
    not(all(has_postgres, has_rabbitmq)),
    ignore = "PostgreSQL or RabbitMQ is not installed"
)]
fn broker_and_application_with_trusted_certificates_are_used() {
    RUNTIME.block_on(async {
        let mut bed = Bed::new(Mode::RabbitMq).await;
        let (broker_ca, _folder) = encrypt_broker(&mut bed).await;
        let application = bed.application.url().replace("http://", "");
        let (port, folder) = proxy(application).await;
        let ca = folder.path().join("both.pem");
        let read = |path| std::fs::read_to_string(path).expect("read");
        let both = read(broker_ca) + &read(folder.path().join("ca.pem"));
        std::fs::write(&ca, both).expect("write");
        bed.enqueue_many(Queue::Receipts, 3).await;
        let mut command = command(&bed, &["run", "--ca-file", ca.to_str().expect("UTF-8")]);
        command.env("COURIER_APPLICATION_URL", format!("https://localhost:{port}"));
        let courier = Courier::start(command);
        bed.effects(3).await;
        courier.kill();
    });
}

#[test]
#[cfg_attr(
    not(all(has_postgres, has_rabbitmq)),
    ignore = "PostgreSQL or RabbitMQ is not installed"
)]
fn broker_with_unknown_certificate_is_refused() {
    RUNTIME.block_on(async {
        let mut bed = Bed::new(Mode::RabbitMq).await;
        let _folder = encrypt_broker(&mut bed).await;
        let courier = Courier::start(command(&bed, &["relay"]));
        courier.event("connected");
        let event = courier.event("disconnected");
        assert_eq!(event["peer"], "publisher", "{event}");
        let reason = event["reason"].as_str().expect("a reason");
        assert!(reason.contains("certificate"), "{reason}");
    });
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn application_with_unknown_certificate_receives_nothing() {
    RUNTIME.block_on(async {
        let bed = Bed::new(Mode::Direct).await;
        let application = bed.application.url().replace("http://", "");
        let (port, _folder) = proxy(application).await;
        bed.enqueue_many(Queue::Receipts, 1).await;
        let mut command = command(&bed, &["run"]);
        command.env("COURIER_APPLICATION_URL", format!("https://localhost:{port}"));
        let courier = Courier::start(command);
        let event = courier.event("paused");
        let reason = event["reason"].as_str().expect("a reason");
        assert!(reason.contains("certificate"), "{reason}");
        assert_eq!(bed.application.received(), []);
    });
}
