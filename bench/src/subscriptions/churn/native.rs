//! Subscriptions at a node.

use super::Holding;
use crate::generate::native::Line;
use crate::socket::Socket;
use crate::subscriptions::names::Names;
use anyhow::{Context, Result, ensure};
use openmesh_message::frame::{
    ClientFrame, Command, FrameDecoder, FrameEncoder, ServerFrame, Start, body_length,
};
use openmesh_message::{DomainId, KeyPair};
use std::net::{SocketAddr, TcpStream};

/// Agents that the connections belong to: registering each is a record of the log.
const AGENTS: u8 = 100;

pub(super) struct Native {
    address: SocketAddr,
    domain: DomainId,
}

impl Native {
    /// Registers the agents.
    pub(super) fn connect(address: SocketAddr, domain: DomainId) -> Result<Self> {
        for agent in 0..AGENTS {
            Line::connect_as(address, &domain, key(agent)?)?.register()?;
        }
        Ok(Self { address, domain })
    }

    fn subscribe(&self, number: u64, name: &str) -> ClientFrame {
        let pattern = format!("mesh://{}/topic/{name}", self.domain);
        ClientFrame::Command(number, Command::Subscribe { subscription: number, pattern, start: Start::Next })
    }
}

fn key(agent: u8) -> Result<KeyPair> {
    Ok(KeyPair::from_seed(&[agent.wrapping_add(1); 32])?)
}

impl Holding for Native {
    fn hold(&self, place: usize, names: &Names) -> Result<TcpStream> {
        let key = key((place % usize::from(AGENTS)) as u8)?;
        let mut line = Line::connect_as(self.address, &self.domain, key)?;
        let (mut bytes, mut encoder, mut commands) = (Vec::new(), FrameEncoder::default(), 0);
        for (number, name) in (1..).zip(names.of(place)) {
            encoder.encode_client(&self.subscribe(number, &name), &mut bytes)?;
            commands += 1;
        }
        line.write(&bytes)?;
        let mut socket = line.into_socket();
        await_replies(&mut socket, commands)?;
        Ok(socket.into_stream())
    }

    fn change(&self, number: u64, name: &str, bytes: &mut Vec<u8>) -> Result<()> {
        let mut encoder = FrameEncoder::default();
        let end = Command::Unsubscribe { subscription: number };
        encoder.encode_client(&ClientFrame::Command(0, end), bytes)?;
        Ok(encoder.encode_client(&self.subscribe(number, name), bytes)?)
    }

    fn ask(&self, _: &TcpStream) -> Result<()> {
        Ok(())
    }

    fn confirm(&self, socket: &mut Socket, changes: u64) -> Result<()> {
        await_replies(socket, changes)
    }
}

/// Waits until so many commands were done.
fn await_replies(socket: &mut Socket, commands: u64) -> Result<()> {
    let mut open = commands;
    while open > 0 {
        let Some((header, rest)) = socket.unused().split_first_chunk::<4>() else {
            socket.fill()?;
            continue;
        };
        let length = body_length(*header)?;
        let Some(body) = rest.get(..length) else {
            socket.fill()?;
            continue;
        };
        let frame = FrameDecoder::default().decode_server(body)?;
        ensure!(matches!(frame, ServerFrame::Reply(_, Ok(_))), "a change was not made: {frame:?}");
        open = open.checked_sub(1).context("more was answered than asked")?;
        socket.used(length + 4);
    }
    Ok(())
}
