//! A connection to a NATS server: CONNECT, then lines.

use crate::socket::Socket;
use anyhow::{Context, Result, bail, ensure};
use std::net::SocketAddr;

const CONNECT: &[u8] =
    b"CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,\"lang\":\"bench\"}\r\nPING\r\n";
/// Where answers of the server's own interface come to, with the connection's port behind it.
const ANSWERS: &str = "_INBOX.answers.";

/// A connected client.
pub(crate) struct Line {
    socket: Socket,
    answers: String,
}

/// A message that came.
#[derive(Debug, PartialEq)]
pub(crate) struct Message<'a> {
    pub(crate) subject: &'a str,
    pub(crate) reply: Option<&'a str>,
    pub(crate) payload: &'a [u8],
}

/// One thing that a server says.
#[derive(Debug, PartialEq)]
enum Said<'a> {
    Message(Message<'a>),
    Ping,
    Error(&'a str),
    /// What needs no answer.
    Other,
}

impl Line {
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let socket = Socket::connect(address)?;
        let answers = format!("{ANSWERS}{}", socket.port()?);
        let subscribe = format!("SUB {answers} 1\r\n");
        let mut line = Self { socket, answers };
        line.write(CONNECT)?;
        line.write(subscribe.as_bytes())?;
        Ok(line)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.socket.write(bytes)
    }

    /// Waits until the server has read everything that was written.
    pub(crate) fn sync(&mut self) -> Result<()> {
        let answers = self.answers.clone();
        self.write(format!("PUB {answers} 0\r\n\r\n").as_bytes())?;
        let mut came = false;
        while !came {
            self.read(|message| {
                came |= message.subject == answers;
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Asks the server's own interface, and waits for its answer.
    pub(crate) fn ask(&mut self, subject: &str, question: &str) -> Result<serde_json::Value> {
        let answers = self.answers.clone();
        self.write(format!("PUB {subject} {answers} {}\r\n{question}\r\n", question.len()).as_bytes())?;
        let mut answer = None;
        while answer.is_none() {
            self.read(|message| {
                if message.subject == answers {
                    let parsed = serde_json::from_slice::<serde_json::Value>(message.payload);
                    answer = Some(parsed.with_context(|| format!("the answer to {subject}"))?);
                }
                Ok(())
            })?;
        }
        let answer = answer.context("no answer")?;
        ensure!(answer.get("error").is_none(), "{subject}: {answer}");
        Ok(answer)
    }

    /// Waits for something, and hands over all messages that are there.
    pub(crate) fn read(&mut self, mut each: impl FnMut(Message<'_>) -> Result<()>) -> Result<()> {
        self.socket.fill()?;
        let mut pings = 0;
        while let Some((said, bytes)) = next(self.socket.unused())? {
            match said {
                Said::Message(message) => each(message)?,
                Said::Ping => pings += 1,
                Said::Error(why) => bail!("the server says {why}"),
                Said::Other => {}
            }
            self.socket.used(bytes);
        }
        for _ in 0..pings {
            self.write(b"PONG\r\n")?;
        }
        Ok(())
    }
}

/// The next thing in `bytes` and how long it is, if all of it is there.
fn next(bytes: &[u8]) -> Result<Option<(Said<'_>, usize)>> {
    let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
        return Ok(None);
    };
    let line = std::str::from_utf8(bytes.get(..end).unwrap_or_default())?.trim_end();
    let after = end + 1;
    let (has_headers, words) = match line.split_once(' ') {
        Some(("MSG", words)) => (false, words),
        Some(("HMSG", words)) => (true, words),
        Some(("-ERR", why)) => return Ok(Some((Said::Error(why), after))),
        _ if line == "PING" => return Ok(Some((Said::Ping, after))),
        _ => return Ok(Some((Said::Other, after))),
    };
    let words: Vec<&str> = words.split(' ').collect();
    let (subject, reply, sizes) = match (words.as_slice(), has_headers) {
        ([subject, _, size], false) => (*subject, None, [*size, "0"]),
        ([subject, _, reply, size], false) => (*subject, Some(*reply), [*size, "0"]),
        ([subject, _, head, size], true) => (*subject, None, [*size, *head]),
        ([subject, _, reply, head, size], true) => (*subject, Some(*reply), [*size, *head]),
        _ => bail!("`{line}` is no message"),
    };
    let [size, head] = sizes.map(str::parse::<usize>);
    let (size, head) = (size?, head?);
    let Some(payload) = bytes.get(after + head..after + size) else {
        return Ok(None);
    };
    let whole = after + size + 2;
    if bytes.len() < whole {
        return Ok(None);
    }
    Ok(Some((Said::Message(Message { subject, reply, payload }), whole)))
}

#[cfg(test)]
mod tests {
    use super::{Message, Said, next};

    #[test]
    fn messages_are_read_once_they_are_whole() {
        let bytes = b"MSG a.b 1 5\r\nhello\r\nHMSG c 2 r.1 4 6\r\nNATSok\r\nPING\r\n";
        let (said, first) = next(bytes).unwrap().unwrap();
        assert_eq!(said, Said::Message(Message { subject: "a.b", reply: None, payload: b"hello" }));
        let (said, second) = next(&bytes[first..]).unwrap().unwrap();
        assert_eq!(said, Said::Message(Message { subject: "c", reply: Some("r.1"), payload: b"ok" }));
        let (said, third) = next(&bytes[first + second..]).unwrap().unwrap();
        assert_eq!((said, first + second + third), (Said::Ping, bytes.len()));
        for cut in 0..first {
            assert_eq!(next(&bytes[..cut]).unwrap(), None, "{cut}");
        }
    }

    #[test]
    fn errors_and_what_needs_no_answer_are_told_apart() {
        assert_eq!(next(b"-ERR 'no'\r\n").unwrap().unwrap().0, Said::Error("'no'"));
        assert_eq!(next(b"INFO {}\r\n").unwrap().unwrap().0, Said::Other);
        assert!(next(b"MSG a\r\n").is_err());
    }
}
