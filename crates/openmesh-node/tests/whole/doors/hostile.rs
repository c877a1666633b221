//! What a hostile client does to HTTP is ended, and honest clients are served all the while.

use super::http::Request;
use crate::node::Node;
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

const HALF_OPEN: usize = 5_000;
const HONEST: usize = 500;
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

async fn token(node: &Node, name: &str) -> String {
    let asked = Request::new("POST", "/v1/agents").token(&node.admin_token()).json(&json!({"name": name}));
    let response = asked.send(node.http()).await;
    assert_eq!(response.status, 201, "{}", response.head);
    response.json()["token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_or_too_slow_is_ended() {
    let node = Node::start(&[]);
    let address = node.http();
    let long = "x".repeat(64 * 1024);
    let mut many = Request::new("GET", "/healthz");
    for n in 0..500 {
        many = many.header(&format!("x-{n}"), "y");
    }
    let refused = [
        (Request::new("GET", "/healthz").header("x-long", &long), vec![431]),
        (Request::new("GET", &format!("/healthz?{long}")), vec![414, 431]),
        (many, vec![431]),
    ];
    for (request, statuses) in refused {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let response = request.send_on(&mut stream, address).await;
        let status = response.map_or(0, |response| response.status);
        assert!(status == 0 || statuses.contains(&status), "{status}, expected {statuses:?}");
    }
    let token = token(&node, "carol").await;
    let huge = Request::new("POST", "/v1/messages").token(&token).header("content-length", "100000000");
    let huge = huge.header("content-type", "application/json").send(address).await;
    assert_eq!(huge.status, 413, "the length said is enough to refuse it");
    slow_headers_end(address).await;
    assert_eq!(Request::new("GET", "/healthz").send(address).await.status, 200);
}

/// One byte of a header a second: the node ends it by its own deadline.
async fn slow_headers_end(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: ").await.unwrap();
    let begun = Instant::now();
    let ended = async {
        loop {
            if stream.write_all(b"x").await.is_err() {
                return;
            }
            let mut bytes = [0; 1_024];
            if matches!(timeout(Duration::from_secs(1), stream.read(&mut bytes)).await, Ok(Ok(0) | Err(_))) {
                return;
            }
        }
    };
    timeout(Duration::from_secs(60), ended).await.expect("the node ends a connection whose head never comes");
    println!("a slow head was ended after {:.1} s", begun.elapsed().as_secs_f64());
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_do_not_keep_honest_clients_out() {
    let node = Node::start(&[]);
    let address = node.http();
    let mut held = Vec::with_capacity(HALF_OPEN);
    for _ in 0..HALF_OPEN {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((ELSEWHERE, 0))).unwrap();
        let Ok(Ok(mut stream)) = timeout(Duration::from_secs(5), socket.connect(address)).await else {
            continue;
        };
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nx: ").await;
        held.push(stream);
    }
    let mut served = 0;
    for _ in 0..HONEST {
        let one = Request::new("GET", "/healthz").send(address);
        served += usize::from(
            matches!(timeout(Duration::from_secs(5), one).await, Ok(response) if response.status == 200),
        );
    }
    println!(
        "{} half-open connections were made; {served} of {HONEST} honest requests were served",
        held.len()
    );
    assert!(held.len() > HALF_OPEN / 2, "the flood was a flood");
    assert!(served * 100 >= HONEST * 99);
}
