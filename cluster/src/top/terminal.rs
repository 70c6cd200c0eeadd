//! The terminal: its keys one by one, its lines written over; or plain frames one after the other where there is none.
//!
//! Why no crate for it: what is needed is two flags of the line discipline, a size, and four sequences that every terminal
//! since the VT100 obeys.
//!
//! Must never: end without giving the terminal back as it was.

use std::io::{IsTerminal as _, Read as _, Write as _, stdin, stdout};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::sync::mpsc;

use super::draw::{Size, frame};
use super::picture::Picture;
use super::wish::{Key, Wish};

/// Where there is no terminal: all of it, as wide as it is.
pub(crate) const PLAIN: Size = Size { columns: 200, lines: 10_000 };
/// Another screen, without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// Keys that wait to be heard.
const KEYS_MAX: usize = 64;

/// Where frames go, and keys come from.
pub(crate) struct Terminal {
    /// As it was; `None`: there is no terminal that obeys.
    before: Option<Termios>,
    keys: mpsc::Receiver<Key>,
    /// Held where there are no keys, so that waiting for one does not end.
    _silent: Option<mpsc::Sender<Key>>,
}

impl Terminal {
    /// Takes the terminal, if there is one that can draw.
    pub(crate) fn open() -> Self {
        let (sender, keys) = mpsc::channel(KEYS_MAX);
        let is_dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb" || term.is_empty());
        let can_draw = stdin().is_terminal() && stdout().is_terminal() && !is_dumb;
        let before = can_draw.then(|| tcgetattr(stdin()).ok()).flatten();
        let Some(was) = before else { return Self { before: None, keys, _silent: Some(sender) } };
        let mut raw = was.clone();
        raw.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        // A terminal that does not obey shows frames all the same.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &raw);
        write(ENTER);
        std::thread::spawn(move || read_keys(&sender));
        Self { before: Some(was), keys, _silent: None }
    }

    /// The next key.
    pub(crate) async fn key(&mut self) -> Key {
        match self.keys.recv().await {
            Some(key) => key,
            None => std::future::pending().await,
        }
    }

    /// Shows a frame over the one before; below it where that cannot be.
    pub(crate) fn show(&self, picture: &Picture, wish: &Wish) {
        if self.before.is_none() {
            write(&format!("{}\n\n", frame(picture, wish, PLAIN).join("\n")));
            return;
        }
        let size = tcgetwinsize(stdout()).ok().filter(|size| size.ws_row > 0 && size.ws_col > 0);
        let size = size.map_or(Size { columns: 80, lines: 24 }, |size| Size {
            columns: usize::from(size.ws_col),
            lines: usize::from(size.ws_row),
        });
        write(&format!("\x1b[H{}\x1b[K\x1b[J", frame(picture, wish, size).join("\x1b[K\r\n")));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            write(LEAVE);
            let _ = tcsetattr(stdin(), OptionalActions::Now, before);
        }
    }
}

fn write(text: &str) {
    let mut out = stdout().lock();
    // Nobody may be looking any more.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn read_keys(keys: &mpsc::Sender<Key>) {
    let mut bytes = [0; 64];
    while let Ok(count @ 1..) = stdin().read(&mut bytes) {
        let text = String::from_utf8_lossy(bytes.get(..count).unwrap_or_default()).into_owned();
        if keys_of(&text).into_iter().any(|key| keys.blocking_send(key).is_err()) {
            return;
        }
    }
}

/// The keys that a terminal has sent. What comes at once is one press, or a paste.
fn keys_of(text: &str) -> Vec<Key> {
    match text {
        "\x1b[A" | "\x1bOA" => return vec![Key::Up],
        "\x1b[B" | "\x1bOB" => return vec![Key::Down],
        "\x1b" => return vec![Key::Escape],
        // Keys that nobody asked for.
        _ if text.starts_with('\x1b') => return Vec::new(),
        _ => {}
    }
    let key = |letter| match letter {
        '\r' | '\n' => Key::Enter,
        '\u{7f}' | '\u{8}' => Key::Backspace,
        letter => Key::Char(letter),
    };
    text.chars().map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_sends_are_keys() {
        for (text, expected) in [
            ("q", vec![Key::Char('q')]),
            ("\x1b", vec![Key::Escape]),
            ("\x1b[A", vec![Key::Up]),
            ("\x1bOB", vec![Key::Down]),
            ("\x1b[5~", vec![]),
            ("/a\r", vec![Key::Char('/'), Key::Char('a'), Key::Enter]),
            ("\u{7f}", vec![Key::Backspace]),
        ] {
            assert_eq!(keys_of(text), expected, "{text:?}");
        }
    }
}
