//! The API on a real socket.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::serve;
use super::*;

async fn speak(address: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("is open");
    stream.write_all(text.as_bytes()).await.expect("is taken");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .await
        .expect("is answered");
    answer
}

#[tokio::test]
async fn serves_until_stopped() {
    let api = Api::with(Access::Dev).await;
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("has an address");
    let tasks = Tasks::new("socket");
    let state = (api.core.clone(), api.identity.clone());
    serve(listener, state, Access::Dev, None, &tasks);

    let put = format!(
        "PUT /api/v1/gateway-groups/x HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: 2\r\nConnection: close\r\n\r\n{{}}"
    );
    assert!(
        speak(address, &put)
            .await
            .starts_with("HTTP/1.1 201 Created\r\n")
    );
    let audit =
        format!("GET /api/v1/audit HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let audit = speak(address, &audit).await;
    assert!(
        audit.contains(r#""from":"127.0.0.1""#),
        "the audit says from where: {audit}"
    );
    let foreign = "GET /api/v1/audit HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert!(speak(address, foreign).await.starts_with("HTTP/1.1 403 "));
    assert!(
        speak(address, "nonsense\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 400 ")
    );

    // A connection that is kept alive doesn't hold the stop up.
    let mut idle = TcpStream::connect(address).await.expect("is open");
    let get = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\n\r\n");
    idle.write_all(get.as_bytes()).await.expect("is taken");
    let mut first = [0; 15];
    idle.read_exact(&mut first).await.expect("is answered");
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    assert!(
        tasks.stop(Duration::from_secs(10)).await,
        "{:?}",
        tasks.running()
    );
    assert!(
        TcpStream::connect(address).await.is_err(),
        "the socket is closed"
    );
}
