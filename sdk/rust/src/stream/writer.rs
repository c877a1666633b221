//! The writing end: keeps what was not taken yet, and offers it again over the next connection.

use super::link::{Link, Over, Patience, is_passing};
use crate::{Mesh, SdkError, Sent};
use bytes::Bytes;
use openmesh_message::frame::{StreamAct, StreamEvent, item_cost};
use openmesh_message::limits::STREAM_ITEM_BYTES_MAX;
use openmesh_message::{Envelope, Problem};
use std::collections::VecDeque;
use tokio::sync::{mpsc, watch};

/// How a stream ended: all was taken, or why not; `None` while it goes on.
type Outcome = Option<Result<(), SdkError>>;

/// Writes a stream. Dropped without [`StreamWriter::finish`], it breaks the stream off.
pub struct StreamWriter {
    wishes: mpsc::Sender<Wish>,
    ended: watch::Receiver<Outcome>,
}

enum Wish {
    Item(Bytes),
    Finish,
    Reset(String),
}

/// What the task of a writing end knows.
struct Writing {
    mesh: Mesh,
    offer: Envelope,
    wishes: mpsc::Receiver<Wish>,
    /// An item for which there is no credit yet.
    next: Option<Bytes>,
    /// Items that were not taken, by their places.
    kept: VecDeque<(u64, Bytes)>,
    /// Everything before this place was taken.
    consumed: u64,
    /// The place behind the last item.
    end: u64,
    finished: bool,
    patience: Patience,
}

/// A run, as the node gave it.
struct Run {
    number: u64,
    /// The place of the item to be sent next.
    sent: u64,
    window: u64,
    said_fin: bool,
}

impl Mesh {
    /// Offers a stream by a message that bears the attribute `stream` ([`crate::Draft::stream`]); nothing is written
    /// until its receiver reads it.
    pub async fn open_stream(&self, mut offer: Envelope) -> Result<StreamWriter, SdkError> {
        self.connection().check_size(&mut offer)?;
        let (wishes, to_do) = mpsc::channel(1);
        let (tell, ended) = watch::channel(None);
        let writing = Writing {
            mesh: self.clone(),
            offer,
            wishes: to_do,
            next: None,
            kept: VecDeque::new(),
            consumed: 0,
            end: 0,
            finished: false,
            patience: Patience::new(),
        };
        let link = match writing.attach().await {
            Ok(link) => link,
            Err(problem) => return Err(SdkError::Rejected(problem)),
        };
        tokio::spawn(async move {
            let how = writing.run(link, &tell).await;
            let _ = tell.send(Some(how));
        });
        Ok(StreamWriter { wishes, ended })
    }
}

impl StreamWriter {
    /// Writes an item of up to 65,024 bytes once the reader has room for it. Nothing is written if the wait is given up.
    pub async fn send(&self, item: impl Into<Bytes>) -> Result<(), SdkError> {
        let item = item.into();
        if item.len() > STREAM_ITEM_BYTES_MAX {
            return Err(SdkError::TooLarge { bytes: item.len(), bytes_max: STREAM_ITEM_BYTES_MAX });
        }
        self.wish(Wish::Item(item)).await
    }

    /// Ends the stream, and waits until the reader has taken all of it.
    pub async fn finish(self) -> Result<(), SdkError> {
        self.wish(Wish::Finish).await?;
        self.outcome().await
    }

    /// Breaks the stream off, for a reason that the reader is told.
    pub async fn reset(self, reason: &str) {
        if self.wish(Wish::Reset(reason.to_owned())).await.is_ok() {
            let _ = self.outcome().await;
        }
    }

    async fn wish(&self, wish: Wish) -> Result<(), SdkError> {
        match self.wishes.send(wish).await {
            Ok(()) => Ok(()),
            Err(_) => self.outcome().await.and(Err(SdkError::Closed("the stream has ended".to_owned()))),
        }
    }

    async fn outcome(&self) -> Result<(), SdkError> {
        let mut ended = self.ended.clone();
        let how = ended.wait_for(Option::is_some).await.map(|how| how.clone());
        how.ok().flatten().unwrap_or_else(|| Err(SdkError::Closed("its task is gone".to_owned())))
    }
}

impl Writing {
    async fn run(mut self, mut link: Option<Link>, handle: &watch::Sender<Outcome>) -> Result<(), SdkError> {
        loop {
            if let Some(link) = link.take() {
                let over = self.serve(&link, handle).await;
                match link.over(over).await {
                    Over::Ended(how) => return how,
                    Over::Lost => {}
                }
            }
            self.patience.reconnect(&self.mesh).await?;
            link = match self.attach().await {
                Ok(link) => link,
                Err(problem) if is_passing(&problem) => None,
                Err(problem) => return Err(SdkError::Rejected(problem)),
            };
        }
    }

    /// Offers the stream by the same message, and says that this connection writes it; `None` if the connection is lost.
    async fn attach(&self) -> Result<Option<Link>, Box<Problem>> {
        let connection = self.mesh.connection();
        let Ok(pending) = connection.submit(self.offer.clone()).await else { return Ok(None) };
        match pending.await {
            Sent::Accepted(_) | Sent::Passed => {}
            Sent::Unknown => return Ok(None),
            Sent::Rejected(problem) => return Err(Box::new(problem)),
        }
        let Ok(link) = Link::open(connection) else { return Ok(None) };
        let id = self.offer.attributes.get("id").unwrap_or_default().to_owned();
        let write = StreamAct::Write { stream: link.number, id, from: self.consumed };
        Ok(link.say(write).await.is_ok().then_some(link))
    }

    async fn serve(&mut self, link: &Link, handle: &watch::Sender<Outcome>) -> Over {
        let mut run = None;
        loop {
            if let Some(run) = &mut run
                && let Err(over) = self.write(link, run).await
            {
                return over;
            }
            let may_take = self.next.is_none() && !self.finished;
            let stepped = tokio::select! {
                event = link.next() => match event {
                    Some(event) => self.hear(event, &mut run),
                    None => Err(Over::Lost),
                },
                wish = self.wishes.recv(), if may_take => self.take(wish, link).await,
                () = handle.closed() => self.take(None, link).await,
            };
            if let Err(over) = stepped {
                return over;
            }
        }
    }

    /// Sends what there is credit for.
    async fn write(&mut self, link: &Link, run: &mut Run) -> Result<(), Over> {
        let limit = self.consumed.saturating_add(run.window);
        if let Some(item) = self.next.take_if(|item| self.end + item_cost(item.len()) <= limit) {
            let cost = item_cost(item.len());
            self.kept.push_back((self.end, item));
            self.end += cost;
        }
        let first = self.kept.partition_point(|(offset, _)| *offset < run.sent);
        for (offset, item) in self.kept.range(first..) {
            let behind = offset + item_cost(item.len());
            if behind > limit {
                break;
            }
            let (stream, run_number, item) = (link.number, run.number, item.clone());
            link.say(StreamAct::Item { stream, run: run_number, offset: *offset, item }).await?;
            run.sent = behind;
        }
        if self.finished && run.sent == self.end && !run.said_fin {
            run.said_fin = true;
            link.say(StreamAct::Fin { stream: link.number, run: run.number, offset: self.end }).await?;
        }
        Ok(())
    }

    fn hear(&mut self, event: StreamEvent, run: &mut Option<Run>) -> Result<(), Over> {
        match event {
            StreamEvent::Go { run: number, from, consumed, window, .. } => {
                self.forget_before(consumed);
                let is_ours = from == self.end || self.kept.iter().any(|(offset, _)| *offset == from);
                if !is_ours {
                    return Err(Over::unfitting());
                }
                self.patience.renew();
                *run = Some(Run { number, sent: from, window, said_fin: false });
                Ok(())
            }
            StreamEvent::Credit { consumed, .. } => {
                self.forget_before(consumed);
                Ok(())
            }
            StreamEvent::Done { .. } => Err(Over::Ended(Ok(()))),
            StreamEvent::Refused { problem, .. } => Err(Over::refused(problem)),
            StreamEvent::Reset { problem, .. } => Err(Over::reset(problem)),
            StreamEvent::Item { .. } | StreamEvent::Fin { .. } => Err(Over::unfitting()),
        }
    }

    async fn take(&mut self, wish: Option<Wish>, link: &Link) -> Result<(), Over> {
        let reason = match wish {
            Some(Wish::Item(item)) => {
                self.next = Some(item);
                return Ok(());
            }
            Some(Wish::Finish) => {
                self.finished = true;
                return Ok(());
            }
            Some(Wish::Reset(reason)) => reason,
            None => "its writer is gone".to_owned(),
        };
        link.reset(&reason).await;
        Err(Over::Ended(Ok(())))
    }

    fn forget_before(&mut self, consumed: u64) {
        self.consumed = self.consumed.max(consumed);
        while self.kept.front().is_some_and(|(offset, _)| *offset < self.consumed) {
            self.kept.pop_front();
        }
    }
}
