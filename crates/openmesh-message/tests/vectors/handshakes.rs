//! One handshake, byte by byte, and what must end it.

use crate::fixture::{TIME, cbor_hex, flipped, hex, home, inception, key};
use openmesh_message::handshake::{
    ClientHello, MAGIC, ServerHello, SignedServerHello, accept_auth, accept_hello, answer, authenticate,
};
use openmesh_message::{Certificate, DomainId, Inception};
use serde_json::{Value, json};

pub(crate) fn handshake() -> Value {
    let agent = key(4);
    let client_hello = minicbor::to_vec(ClientHello::new(agent.id(), [0xc1; 32])).unwrap();
    let server_hello = server_hello();
    let answered = answer(&key(3), &client_hello, &server_hello);
    let (_, auth) = authenticate(&agent, &home(), &client_hello, &answered, TIME).unwrap();
    let auth = minicbor::to_vec(auth).unwrap();
    assert_eq!(accept_auth(&client_hello, &answered, &auth), Ok(agent.id()));
    let framed = |message: &[u8]| [&(message.len() as u32).to_be_bytes()[..], message].concat();
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
    })
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
        ("made for another client hello", encoded(answer(&key(3), &other, &server_hello()))),
        (
            "signed by a key the domain did not certify",
            encoded(answer(&key(5), client_hello, &server_hello())),
        ),
        ("of another domain", encoded(answer(&key(3), client_hello, &foreign))),
        ("of a newer version", encoded(answer(&key(3), client_hello, &newer))),
        ("its last bit flipped", flipped(signed, signed.len() - 1)),
    ];
    let refused = |(what, bytes): (&str, Vec<u8>)| {
        let answered = minicbor::decode::<SignedServerHello>(&bytes).unwrap();
        assert!(authenticate(&key(4), &home(), client_hello, &answered, TIME).is_err(), "{what}");
        json!({"what": what, "signed server hello": hex(bytes)})
    };
    cases.into_iter().map(refused).collect()
}

fn bad_auths(client_hello: &[u8], answered: &SignedServerHello, auth: &[u8]) -> Vec<Value> {
    let hostile = Inception::new(&key(6), &key(7));
    let pinned: DomainId = hostile.domain_id();
    let certificate = Certificate::issue(&key(6), hostile, key(5).id(), TIME, TIME.plus_ms(1_000));
    let own = answer(&key(5), client_hello, &ServerHello { certificate, ..server_hello() });
    let (_, relayed) = authenticate(&key(4), &pinned, client_hello, &own, TIME).unwrap();
    let cases = [
        ("made for a node in the middle", minicbor::to_vec(relayed).unwrap()),
        ("its last bit flipped", flipped(auth, auth.len() - 1)),
    ];
    let refused = |(what, bytes): (&str, Vec<u8>)| {
        assert!(accept_auth(client_hello, answered, &bytes).is_err(), "{what}");
        json!({"what": what, "client auth": hex(bytes)})
    };
    cases.into_iter().map(refused).collect()
}
