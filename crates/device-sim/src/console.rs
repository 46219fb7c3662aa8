//! What one device received, sent and did, for whoever looks at it.
//!
//! Nearly nobody does: a device keeps a few short lines, and more of them, with details, only
//! while somebody watches.

use std::collections::VecDeque;

use hub_protocol::Timestamp;
use tokio::sync::broadcast;

/// Lines kept for a device nobody watches.
const FEW: usize = 16;
/// Lines kept for one that is watched.
const MANY: usize = 500;
/// A watcher that falls further behind is told how many lines it missed.
const CHANNEL: usize = 256;
/// Bytes of a line's text, and of its detail.
const MAX_TEXT: usize = 400;
const MAX_DETAIL: usize = 8 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleKind {
    Received,
    Sent,
    Did,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleLine {
    /// Counts up by one, from 0 when the device is started.
    pub sequence: u64,
    pub at: Timestamp,
    pub kind: ConsoleKind,
    /// One sentence, at most 400 bytes.
    pub text: String,
    /// JSON of at most 8 KiB; only of what happened while somebody watched.
    pub detail: Option<String>,
}

struct Kept {
    at: Timestamp,
    kind: ConsoleKind,
    text: Box<str>,
    detail: Option<Box<str>>,
}

#[derive(Default)]
pub(crate) struct Console {
    lines: VecDeque<Kept>,
    /// The sequence of the next line.
    next: u64,
    watchers: Option<broadcast::Sender<ConsoleLine>>,
}

impl Console {
    /// `detail` is asked only while somebody watches.
    pub(crate) fn note(
        &mut self,
        at: Timestamp,
        kind: ConsoleKind,
        mut text: String,
        detail: impl FnOnce() -> Option<String>,
    ) {
        if self
            .watchers
            .as_ref()
            .is_some_and(|watchers| watchers.receiver_count() == 0)
        {
            self.watchers = None;
            self.lines.drain(..self.lines.len().saturating_sub(FEW));
            self.lines.shrink_to(FEW);
        }
        shorten(&mut text, MAX_TEXT);
        let watchers = self.watchers.as_ref();
        let mut detail = watchers.and_then(|_| detail());
        if let Some(detail) = &mut detail {
            shorten(detail, MAX_DETAIL);
        }
        let kept = if watchers.is_some() { MANY } else { FEW };
        while self.lines.len() >= kept {
            self.lines.pop_front();
        }
        if let Some(watchers) = watchers {
            // The last one may be gone by now.
            let _ = watchers.send(ConsoleLine {
                sequence: self.next,
                at,
                kind,
                text: text.clone(),
                detail: detail.clone(),
            });
        }
        self.next += 1;
        self.lines.push_back(Kept {
            at,
            kind,
            text: text.into(),
            detail: detail.map(Into::into),
        });
    }

    /// The last lines, and those to come.
    pub(crate) fn watch(&mut self) -> (Vec<ConsoleLine>, broadcast::Receiver<ConsoleLine>) {
        let first = self.next - self.lines.len() as u64;
        let lines = self.lines.iter().zip(first..).map(|(line, sequence)| ConsoleLine {
            sequence,
            at: line.at,
            kind: line.kind,
            text: line.text.to_string(),
            detail: line.detail.as_deref().map(str::to_owned),
        });
        let lines = lines.collect();
        let watchers = self.watchers.get_or_insert_with(|| broadcast::Sender::new(CHANNEL));
        (lines, watchers.subscribe())
    }
}

fn shorten(text: &mut String, limit: usize) {
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit - '…'.len_utf8()));
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(console: &mut Console, text: &str) {
        console.note(Timestamp::NEVER, ConsoleKind::Did, text.into(), || {
            Some("{\"a\":1}".into())
        });
    }

    #[test]
    fn a_device_nobody_watches_keeps_its_last_lines_without_details() {
        let mut console = Console::default();
        for number in 0..100 {
            note(&mut console, &number.to_string());
        }
        let (lines, _) = console.watch();
        assert_eq!(lines.len(), FEW);
        assert_eq!((lines[0].sequence, lines[0].text.as_str()), (84, "84"));
        assert!(lines.iter().all(|line| line.detail.is_none()));
    }

    #[test]
    fn a_watcher_hears_every_line_with_its_detail_and_more_are_kept() {
        let mut console = Console::default();
        let (_, mut heard) = console.watch();
        for number in 0..600 {
            note(&mut console, &number.to_string());
            let line = heard.try_recv().unwrap();
            assert_eq!((line.sequence, line.detail.as_deref()), (number, Some("{\"a\":1}")));
        }
        let (lines, _) = console.watch();
        assert_eq!((lines.len(), lines[0].sequence), (MANY, 100));
    }

    #[test]
    fn once_the_last_watcher_went_the_memory_is_given_back() {
        let mut console = Console::default();
        let watching = console.watch();
        for _ in 0..600 {
            note(&mut console, "x");
        }
        drop(watching);
        note(&mut console, "last");
        assert!(console.watchers.is_none());
        assert_eq!((console.lines.len(), console.lines.capacity() <= 2 * FEW), (FEW, true));
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let mut console = Console::default();
        note(&mut console, &"é".repeat(MAX_TEXT));
        let text = &console.watch().0[0].text;
        assert!(text.len() <= MAX_TEXT && text.ends_with('…'));
    }
}
