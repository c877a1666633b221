//! What a browser could be made to send, and what ties up a listener.

use crate::client::{Node, read_head};
use std::io::Write;
use std::net::TcpStream;

#[test]
fn other_hosts_and_origins_are_refused_and_nothing_is_shared_across_origins() {
    let node = Node::start(&["--http-host", "mesh.example"]);
    let status = |host: &str, origin: Option<&str>| {
        let request = node.get("/healthz").instead("Host", host);
        let answer = match origin {
            Some(origin) => request.header("Origin", origin).send(),
            None => request.send(),
        };
        assert!(answer.header("Access-Control-Allow-Origin").is_none());
        answer.status
    };
    let own = node.http.to_string();
    let port = node.http.port();
    assert_eq!(status(&own, None), 200);
    assert_eq!(status(&format!("localhost:{port}"), None), 200);
    assert_eq!(status("mesh.example", None), 200);
    assert_eq!(status(&own, Some(&format!("http://{own}"))), 200);
    for host in
        ["evil.example", &format!("evil.example:{port}"), &format!("localhost.evil.example:{port}"), ""]
    {
        assert_eq!(status(host, None), 421, "{host}");
    }
    for origin in ["http://evil.example", "null", &format!("https://{own}"), "http://localhost:1"] {
        assert_eq!(status(&own, Some(origin)), 403, "{origin}");
    }
    let rebound = node.get("/v1/socket").instead("Host", "evil.example").send();
    assert_eq!(rebound.code(), "host.not_allowed");
    let preflight =
        node.request("OPTIONS", "/v1/messages").header("Access-Control-Request-Method", "POST").send();
    assert_eq!(preflight.status, 405);
}

#[test]
fn oversize_headers_end_their_connection_alone() {
    let node = Node::start(&[]);
    let status = |headers: String| {
        let mut stream = TcpStream::connect(node.http).unwrap();
        let head = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", node.http);
        stream.write_all(head.as_bytes()).unwrap();
        read_head(&mut std::io::BufReader::new(stream)).0
    };
    assert_eq!(status(String::new()), 200);
    assert_eq!(status(format!("X: {}\r\n", "a".repeat(20_000))), 431);
    assert_eq!(status("X: a\r\n".repeat(200)), 431);
    assert_eq!(status(String::new()), 200);
}
