//! A durable pull consumer of JetStream: fetches and explicit acknowledgements.

use super::{BATCH_MESSAGES, BATCHES_AT_ONCE, Mailbox};
use crate::generate::Wire;
use crate::generate::nats::{Line, Publisher};
use crate::settings::PUBLISH_PAYLOAD_BYTES;
use anyhow::{Context, Result};
use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const CREATE: &str = "$JS.API.CONSUMER.DURABLE.CREATE.BENCH.READER";
/// Explicit acknowledgements, and room for all that is fetched at a time.
const CONSUMER: &str = r#"{"stream_name":"BENCH","config":{"durable_name":"READER","ack_policy":"explicit","deliver_policy":"all","max_ack_pending":10000,"ack_wait":600000000000}}"#;
const NEXT: &str = "$JS.API.CONSUMER.MSG.NEXT.BENCH.READER";
/// Where messages are fetched to.
const FETCHED: &str = "_INBOX.fetched";
/// Where the last acknowledgement is confirmed.
const CONFIRMED: &str = "_INBOX.confirmed";
const EXPIRES_NS: u64 = 30_000_000_000;

pub(super) struct Mail {
    line: Line,
    sender: Publisher,
    acknowledge: String,
}

impl Mail {
    pub(super) fn open(address: SocketAddr) -> Result<Self> {
        let sender = Publisher::connect(address, PUBLISH_PAYLOAD_BYTES)?;
        let mut line = Line::connect(address)?;
        line.ask(CREATE, CONSUMER)?;
        line.write(format!("SUB {FETCHED} 2\r\nSUB {CONFIRMED} 3\r\n").as_bytes())?;
        Ok(Self { line, sender, acknowledge: String::new() })
    }

    fn fetch(&mut self, messages: usize) -> Result<()> {
        let asked = format!("{{\"batch\":{messages},\"expires\":{EXPIRES_NS}}}");
        self.line.write(format!("PUB {NEXT} {FETCHED} {}\r\n{asked}\r\n", asked.len()).as_bytes())
    }

    /// Waits for one message.
    fn fetched(&mut self) -> Result<()> {
        let mut subject = None;
        while subject.is_none() {
            self.line.read(|message| {
                subject = message.reply.map(str::to_owned).or(subject.take());
                Ok(())
            })?;
        }
        self.acknowledge = subject.context("no message came")?;
        Ok(())
    }

    /// Acknowledges the last message that came, and waits until the server says that it knows.
    fn confirm(&mut self) -> Result<()> {
        self.line.write(format!("PUB {} {CONFIRMED} 0\r\n\r\n", self.acknowledge).as_bytes())?;
        let mut confirmed = false;
        while !confirmed {
            self.line.read(|message| {
                confirmed |= message.subject == CONFIRMED;
                Ok(())
            })?;
        }
        Ok(())
    }
}

impl Mailbox for Mail {
    fn wait(&mut self) -> Result<()> {
        self.fetch(1)
    }

    fn put(&mut self, tag: usize) -> Result<()> {
        self.sender.send(tag..tag + 1)?;
        self.fetched()
    }

    fn finish(&mut self) -> Result<()> {
        self.sender.acknowledged(&mut Vec::new())?;
        self.confirm()
    }

    fn first(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        self.fetch(1)?;
        self.fetched()?;
        let took = begun.elapsed();
        self.confirm()?;
        Ok(took)
    }

    fn drain(&mut self, messages: usize) -> Result<()> {
        for _ in 0..BATCHES_AT_ONCE {
            self.fetch(BATCH_MESSAGES)?;
        }
        let mut came = 0;
        let mut acks = Vec::new();
        while came < messages {
            let before = came;
            acks.clear();
            let last = &mut self.acknowledge;
            self.line.read(|message| {
                let Some(reply) = message.reply else {
                    return Ok(());
                };
                came += 1;
                if came == messages {
                    reply.clone_into(last);
                } else {
                    write!(acks, "PUB {reply} 0\r\n\r\n")?;
                }
                Ok(())
            })?;
            self.line.write(&acks)?;
            for _ in before / BATCH_MESSAGES..came / BATCH_MESSAGES {
                self.fetch(BATCH_MESSAGES)?;
            }
        }
        self.confirm()
    }
}
