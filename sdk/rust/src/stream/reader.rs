//! The reading end: takes items in within its window, gives credit as they are taken, and goes on where it was.

use super::StreamOptions;
use super::link::{Link, Over, Patience};
use super::shelf::Shelf;
use crate::compose::source_of;
use crate::{Mesh, SdkError};
use bytes::Bytes;
use openmesh_message::frame::{StreamAct, StreamEvent, item_cost};
use openmesh_message::{AgentId, Envelope};
use std::sync::Arc;
use std::time::Duration;

/// The node is told of credit when a part of the window of this size was taken, or all that is there.
const CREDIT_PARTS: u64 = 4;

/// How long the node is told that all was taken, where connections are lost meanwhile.
const LAST_WORD: Duration = Duration::from_secs(2);

/// Reads a stream. Dropped before its end, it breaks the stream off.
pub struct StreamReader {
    shelf: Arc<Shelf>,
}

/// What the task of a reading end knows.
struct Taking {
    mesh: Mesh,
    sender: AgentId,
    id: String,
    window: u64,
    shelf: Arc<Shelf>,
    patience: Patience,
    /// All was taken, and the node was told: nothing depends on whether it heard.
    is_done: bool,
}

/// How far a link has come.
struct Run {
    /// The place of the next item.
    expected: u64,
    /// Everything before this place was taken, as the node was told.
    credited: u64,
    fin: Option<u64>,
    said_done: bool,
}

impl Mesh {
    /// Reads the stream that a message offers. One that was read before by this handle, and is offered again, goes on
    /// where it was left; one that is being read is [`SdkError::StreamTaken`].
    pub fn read_stream(&self, offer: &Envelope, options: StreamOptions) -> Result<StreamReader, SdkError> {
        let attribute = |name| offer.attributes.get(name).ok_or(SdkError::Unanswerable(name));
        attribute("stream")?;
        let (id, sender) = (attribute("id")?.to_owned(), source_of(offer));
        let sender = sender.ok_or(SdkError::Unanswerable("source"))?;
        let shelf = self.known_streams().shelf((sender, id.clone()), options.from);
        let shelf = shelf.ok_or(SdkError::StreamTaken)?;
        let (mesh, window, patience) = (self.clone(), options.window, Patience::new());
        let taking = Taking { mesh, sender, id, window, shelf: Arc::clone(&shelf), patience, is_done: false };
        tokio::spawn(taking.run());
        Ok(StreamReader { shelf })
    }
}

impl StreamReader {
    /// The next item; `None` at the end of the stream. Nothing is lost if the wait is given up.
    pub async fn next(&mut self) -> Result<Option<Bytes>, SdkError> {
        self.shelf.next().await
    }

    /// Where the next item begins: to be kept by those who want to go on after a restart of their own.
    pub fn place(&self) -> u64 {
        self.shelf.place()
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        self.shelf.abandon();
    }
}

impl Taking {
    async fn run(mut self) {
        let how = loop {
            match self.attach_and_serve().await {
                Over::Ended(how) => break how,
                Over::Lost => {}
            }
            if self.is_done && self.patience.is_tried_for(LAST_WORD) {
                break Ok(());
            }
            if let Err(why) = self.patience.reconnect(&self.mesh).await {
                break Err(why);
            }
        };
        self.shelf.end(if self.is_done { Ok(()) } else { how });
    }

    async fn attach_and_serve(&mut self) -> Over {
        let Ok(link) = Link::open(self.mesh.connection()) else { return Over::Lost };
        let from = self.shelf.clear().place;
        let (sender, id, window) = (self.sender, self.id.clone(), self.window);
        let read = StreamAct::Read { stream: link.number, sender, id, from, window };
        if let Err(over) = link.say(read).await {
            return over;
        }
        let run = Run { expected: from, credited: from, fin: None, said_done: false };
        let over = self.serve(&link, run).await;
        link.over(over).await
    }

    async fn serve(&mut self, link: &Link, mut run: Run) -> Over {
        loop {
            let stepped = tokio::select! {
                event = link.next() => match event {
                    Some(event) => self.hear(event, &mut run),
                    None => Err(Over::Lost),
                },
                () = self.shelf.taken() => Ok(()),
            };
            let over = match stepped {
                Ok(()) => self.answer(link, &mut run).await,
                Err(over) => Err(over),
            };
            if let Err(over) = over {
                return over;
            }
        }
    }

    fn hear(&mut self, event: StreamEvent, run: &mut Run) -> Result<(), Over> {
        match event {
            StreamEvent::Go { .. } => {
                self.patience.renew();
                Ok(())
            }
            StreamEvent::Item { offset, item, .. } => {
                let behind = offset.saturating_add(item_cost(item.len()));
                let fits = behind <= self.shelf.place().saturating_add(self.window);
                if offset != run.expected || run.fin.is_some() || !fits {
                    return Err(Over::unfitting());
                }
                run.expected = behind;
                self.shelf.put(item);
                Ok(())
            }
            StreamEvent::Fin { offset, .. } if offset == run.expected && run.fin.is_none() => {
                run.fin = Some(offset);
                Ok(())
            }
            StreamEvent::Done { .. } if run.said_done => Err(Over::Ended(Ok(()))),
            StreamEvent::Refused { problem, .. } => Err(Over::refused(problem)),
            StreamEvent::Reset { problem, .. } => Err(Over::reset(problem)),
            _ => Err(Over::unfitting()),
        }
    }

    /// Gives credit for what was taken, and says when that was all.
    async fn answer(&mut self, link: &Link, run: &mut Run) -> Result<(), Over> {
        let (progress, stream) = (self.shelf.progress(), link.number);
        let is_done = run.fin == Some(progress.place);
        if progress.abandoned && !is_done {
            link.reset("its reader is gone").await;
            return Err(Over::Ended(Ok(())));
        }
        let untold = progress.place - run.credited;
        if untold > 0 && (progress.is_empty || untold >= self.window / CREDIT_PARTS) {
            run.credited = progress.place;
            link.say(StreamAct::Credit { stream, consumed: progress.place }).await?;
        }
        if is_done && !run.said_done {
            (run.said_done, self.is_done) = (true, true);
            link.say(StreamAct::Done { stream }).await?;
        }
        Ok(())
    }
}
