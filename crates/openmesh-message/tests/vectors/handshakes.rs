//! One handshake, byte by byte, and what must end it.

use crate::fixture::{TIME, cbor_hex, flipped, hex, home, inception, key};
use openmesh_message::handshake::{
    ALPN, Binding, ClientHello, EXPORTER_LABEL, HandshakeError, MAGIC, ServerHello, SignedServerHello,
    Transcript, accept_auth, accept_hello, answer, authenticate,
};
use openmesh_message::{AgentId, Certificate, DomainId, Inception};
use serde_json::{Value, json};

/// Stands for what a TLS library would export.
const EXPORTER: [u8; 32] = [0xe7; 32];
const TLS: Binding = Binding::Tls(EXPORTER);
const OTHER_TLS: Binding = Binding::Tls([0xe8; 32]);

pub(crate) fn handshake() -> Value {
    let agent = key(4);
    let client_hello = minicbor::to_vec(ClientHello::new(agent.id(), [0xc1; 32])).unwrap();
    let server_hello = server_hello();
    let answered = answer(&key(3), &client_hello, &server_hello, &Binding::Loopback);
    let auth = prove(&client_hello, &answered, &Binding::Loopback).unwrap();
    assert_eq!(heard(&client_hello, &answered, &Binding::Loopback, &auth), Ok(agent.id()));
    let signed = minicbor::to_vec(&answered).unwrap();
    json!({
        "what": "a whole handshake; the bytes each side writes; answers the agent and auths the node must refuse",
        "contexts": {"server": "openmesh server hello v1", "client": "openmesh client auth v1", "binding": "loopback"},
        "magic": hex(MAGIC),
        "domain": home(),
        "now": TIME.millis(),
        "agent seed": hex(agent.seed().as_slice()),
        "node seed": hex(key(3).seed().as_slice()),
        "client hello": hex(&client_hello),
        "server hello": cbor_hex(&server_hello),
        "signed server hello": hex(&signed),
        "client auth": hex(&auth),
        "agent writes": [hex([&MAGIC[..], &framed(&client_hello)].concat()), hex(framed(&auth))],
        "node writes": [hex(framed(&signed))],
        "bad client hellos": bad_client_hellos(&client_hello),
        "bad answers": bad_answers(&client_hello, &signed),
        "bad auths": bad_auths(&client_hello, &answered, &auth),
        "over tls": over_tls(&client_hello, &answered, &auth),
    })
}

/// The same hellos over TLS; what was made on another channel is refused.
fn over_tls(client_hello: &[u8], plain_answer: &SignedServerHello, plain_auth: &[u8]) -> Value {
    let signed = |answered: &SignedServerHello| minicbor::to_vec(answered).unwrap();
    let answered = answer(&key(3), client_hello, &server_hello(), &TLS);
    let auth = prove(client_hello, &answered, &TLS).unwrap();
    assert_eq!(heard(client_hello, &answered, &TLS, &auth), Ok(key(4).id()));
    let elsewhere = answer(&key(3), client_hello, &server_hello(), &OTHER_TLS);
    let bad_answers = [
        ("made on the other side of a relay", elsewhere.clone()),
        ("made over plaintext", plain_answer.clone()),
    ];
    let bad_answers = bad_answers.map(|(what, bad)| {
        assert_eq!(prove(client_hello, &bad, &TLS), Err(HandshakeError::NodeSignature), "{what}");
        json!({"what": what, "signed server hello": hex(signed(&bad))})
    });
    let bad_auths = [
        ("made on the other side of a relay", prove(client_hello, &elsewhere, &OTHER_TLS).unwrap()),
        ("made over plaintext", plain_auth.to_vec()),
    ];
    let bad_auths = bad_auths.map(|(what, bad)| {
        let refused = heard(client_hello, &answered, &TLS, &bad);
        assert_eq!(refused, Err(HandshakeError::AgentSignature), "{what}");
        json!({"what": what, "client auth": hex(bad)})
    });
    json!({
        "exporter label": String::from_utf8_lossy(EXPORTER_LABEL),
        "alpn": String::from_utf8_lossy(ALPN),
        "exporter": hex(EXPORTER),
        "signed server hello": hex(signed(&answered)),
        "client auth": hex(&auth),
        "bad answers": bad_answers,
        "bad auths": bad_auths,
    })
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u32).to_be_bytes()[..], message].concat()
}

fn prove(
    client_hello: &[u8],
    answered: &SignedServerHello,
    binding: &Binding,
) -> Result<Vec<u8>, HandshakeError> {
    let said = Transcript { client_hello, answered, binding };
    let (_, auth) = authenticate(&key(4), &home(), &said, TIME)?;
    Ok(minicbor::to_vec(auth).unwrap())
}

fn heard(
    client_hello: &[u8],
    answered: &SignedServerHello,
    binding: &Binding,
    auth: &[u8],
) -> Result<AgentId, HandshakeError> {
    accept_auth(&Transcript { client_hello, answered, binding }, auth)
}

fn server_hello() -> ServerHello {
    let certificate = Certificate::issue(&key(1), inception(), key(3).id(), TIME, TIME.plus_ms(1_000));
    ServerHello {
        version: 1,
        certificate,
        nonce: [0x51; 32],
        in_flight_max: 8_192,
        frame_bytes_max: 1_048_576,
    }
}

fn bad_client_hellos(client_hello: &[u8]) -> Vec<Value> {
    let hello: ClientHello = minicbor::decode(client_hello).unwrap();
    let newer = ClientHello { versions: vec![2], ..hello.clone() };
    let foreign = ClientHello { keyid: key(5).id(), ..hello };
    let cases = [
        ("speaks only a newer version", minicbor::to_vec(newer).unwrap()),
        ("offers another agent's key", minicbor::to_vec(foreign).unwrap()),
        ("followed by a byte", [client_hello, &[0]].concat()),
        ("cut short", client_hello[..client_hello.len() - 1].to_vec()),
    ];
    let refused = |(what, bytes): (&str, Vec<u8>)| {
        assert!(accept_hello(&bytes).is_err(), "{what}");
        json!({"what": what, "client hello": hex(bytes)})
    };
    cases.into_iter().map(refused).collect()
}

fn bad_answers(client_hello: &[u8], signed: &[u8]) -> Vec<Value> {
    let other = minicbor::to_vec(ClientHello::new(key(4).id(), [0xc2; 32])).unwrap();
    let foreign = Inception::new(&key(6), &key(7));
    let certificate = Certificate::issue(&key(6), foreign, key(3).id(), TIME, TIME.plus_ms(1_000));
    let newer = ServerHello { version: 2, ..server_hello() };
    let foreign = ServerHello { certificate, ..server_hello() };
    let encoded = |answered: SignedServerHello| minicbor::to_vec(answered).unwrap();
    let cases = [
        (
            "made for another client hello",
            encoded(answer(&key(3), &other, &server_hello(), &Binding::Loopback)),
        ),
        (
            "signed by a key the domain did not certify",
            encoded(answer(&key(5), client_hello, &server_hello(), &Binding::Loopback)),
        ),
        ("of another domain", encoded(answer(&key(3), client_hello, &foreign, &Binding::Loopback))),
        ("of a newer version", encoded(answer(&key(3), client_hello, &newer, &Binding::Loopback))),
        ("its last bit flipped", flipped(signed, signed.len() - 1)),
    ];
    let refused = |(what, bytes): (&str, Vec<u8>)| {
        let answered = minicbor::decode::<SignedServerHello>(&bytes).unwrap();
        assert!(prove(client_hello, &answered, &Binding::Loopback).is_err(), "{what}");
        json!({"what": what, "signed server hello": hex(bytes)})
    };
    cases.into_iter().map(refused).collect()
}

fn bad_auths(client_hello: &[u8], answered: &SignedServerHello, auth: &[u8]) -> Vec<Value> {
    let hostile = Inception::new(&key(6), &key(7));
    let pinned: DomainId = hostile.domain_id();
    let certificate = Certificate::issue(&key(6), hostile, key(5).id(), TIME, TIME.plus_ms(1_000));
    let hostile_hello = ServerHello { certificate, ..server_hello() };
    let own = answer(&key(5), client_hello, &hostile_hello, &Binding::Loopback);
    let said = Transcript { client_hello, answered: &own, binding: &Binding::Loopback };
    let (_, relayed) = authenticate(&key(4), &pinned, &said, TIME).unwrap();
    let cases = [
        ("made for a node in the middle", minicbor::to_vec(relayed).unwrap()),
        ("its last bit flipped", flipped(auth, auth.len() - 1)),
    ];
    let refused = |(what, bytes): (&str, Vec<u8>)| {
        assert!(heard(client_hello, answered, &Binding::Loopback, &bytes).is_err(), "{what}");
        json!({"what": what, "client auth": hex(bytes)})
    };
    cases.into_iter().map(refused).collect()
}
