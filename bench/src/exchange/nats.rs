//! Request and reply of core NATS: each request has an inbox of its own to reply to.

use super::Side;
use crate::generate::nats::Line;
use anyhow::{Context, Result, ensure};
use std::io::Write;
use std::net::SocketAddr;

const SUBJECT: &str = "live.asked";
/// Where replies come to, each with the request's number behind it.
const INBOX: &str = "_INBOX.bench.";

/// One connection, and what it says to the other.
pub(super) struct Talker {
    line: Line,
    payload: Vec<u8>,
    bytes: Vec<u8>,
    /// Where the next reply goes; nothing for the one who asks.
    reply_to: Option<String>,
    asks: bool,
}

/// The one who asks, and the one who answers.
pub(super) fn pair(address: SocketAddr, payload_bytes: usize) -> Result<(Talker, Talker)> {
    let payload = [vec![b'x'; payload_bytes], b"\r\n".to_vec()].concat();
    let talker = |subscription: String, asks: bool| -> Result<Talker> {
        let mut line = Line::connect(address)?;
        line.write(format!("SUB {subscription} 2\r\n").as_bytes())?;
        // Once something that is asked of the server is answered, it has read the subscription.
        line.sync()?;
        Ok(Talker { line, payload: payload.clone(), bytes: Vec::new(), reply_to: None, asks })
    };
    Ok((talker(format!("{INBOX}*"), true)?, talker(SUBJECT.to_owned(), false)?))
}

impl Side for Talker {
    fn say(&mut self, number: usize) -> Result<()> {
        let size = self.payload.len() - 2;
        self.bytes.clear();
        if self.asks {
            write!(self.bytes, "PUB {SUBJECT} {INBOX}{number} {size}\r\n")?;
        } else {
            let reply_to = self.reply_to.take().context("nobody asked")?;
            write!(self.bytes, "PUB {reply_to} {size}\r\n")?;
        }
        self.bytes.extend(&self.payload);
        self.line.write(&self.bytes)
    }

    fn hear(&mut self, number: usize) -> Result<()> {
        let mut heard = None;
        while heard.is_none() {
            self.line.read(|message| {
                heard = Some(message.reply.unwrap_or(message.subject).to_owned());
                Ok(())
            })?;
        }
        let inbox = heard.context("nothing came")?;
        let found = inbox.strip_prefix(INBOX).and_then(|number| number.parse::<usize>().ok());
        ensure!(found == Some(number), "{inbox} came where {number} was due");
        self.reply_to = Some(inbox);
        Ok(())
    }
}
