//! What the operator wants to see, and how keys change it. Pure.
//!
//! Must never: take a letter for a command while a name is being typed.

use clap::ValueEnum;

/// By what queues are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// The oldest visible message first.
    #[default]
    Age,
    /// Most messages in, a second.
    In,
    /// Most messages out, a second.
    Out,
    /// Most visible messages.
    Visible,
    /// Most dead letters.
    Dead,
    /// By name.
    Name,
}

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// A character.
    Char(char),
    /// The end of a line.
    Enter,
    /// The way out of typing.
    Escape,
    /// Takes the last character back.
    Backspace,
    /// A line up.
    Up,
    /// A line down.
    Down,
}

/// What comes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Draw again.
    Draw,
    /// Enough.
    Quit,
}

/// What is to be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) sort: Sort,
    /// What a queue's name must hold.
    pub(crate) filter: String,
    /// Whether the filter is being typed.
    pub(crate) is_typing: bool,
    /// Queues above the first that is shown.
    pub(crate) above: usize,
}

/// A name of a queue is not longer.
const FILTER_MAX: usize = 128;

impl Wish {
    /// Takes a key.
    pub(crate) fn press(&mut self, key: Key) -> Next {
        if self.is_typing {
            match key {
                Key::Char(letter) if self.filter.chars().count() < FILTER_MAX && !letter.is_control() => {
                    self.filter.push(letter);
                    self.above = 0;
                }
                Key::Backspace => drop(self.filter.pop()),
                Key::Escape => {
                    self.filter.clear();
                    self.is_typing = false;
                }
                Key::Enter => self.is_typing = false,
                Key::Char(_) | Key::Up | Key::Down => {}
            }
            return Next::Draw;
        }
        match key {
            // Ctrl-C comes as a key where the terminal is raw.
            Key::Char('q' | 'Q' | '\u{3}') => return Next::Quit,
            Key::Char('a') => self.by(Sort::Age),
            Key::Char('i' | 'r') => self.by(Sort::In),
            Key::Char('o') => self.by(Sort::Out),
            Key::Char('v') => self.by(Sort::Visible),
            Key::Char('d') => self.by(Sort::Dead),
            Key::Char('n') => self.by(Sort::Name),
            Key::Char('/') => self.is_typing = true,
            Key::Char('k') | Key::Up => self.above = self.above.saturating_sub(1),
            Key::Char('j') | Key::Down => self.above = self.above.saturating_add(1),
            Key::Escape => self.filter.clear(),
            Key::Char(_) | Key::Enter | Key::Backspace => {}
        }
        Next::Draw
    }

    fn by(&mut self, sort: Sort) {
        self.sort = sort;
        self.above = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pressed(keys: &str) -> (Wish, Next) {
        let (mut wish, mut next) = (Wish::default(), Next::Draw);
        for letter in keys.chars() {
            next = wish.press(match letter {
                '\n' => Key::Enter,
                '\u{1b}' => Key::Escape,
                '\u{7f}' => Key::Backspace,
                letter => Key::Char(letter),
            });
        }
        (wish, next)
    }

    #[test]
    fn keys_do_what_the_help_says() {
        let table = [
            // keys, sort, filter, is typing, above, next
            ("", Sort::Age, "", false, 0, Next::Draw),
            ("i", Sort::In, "", false, 0, Next::Draw),
            ("jjk", Sort::Age, "", false, 1, Next::Draw),
            ("jn", Sort::Name, "", false, 0, Next::Draw),
            ("/vip", Sort::Age, "vip", true, 0, Next::Draw),
            ("/vip\u{7f}\nv", Sort::Visible, "vi", false, 0, Next::Draw),
            ("/q", Sort::Age, "q", true, 0, Next::Draw),
            ("/q\u{1b}", Sort::Age, "", false, 0, Next::Draw),
            ("/x\nq", Sort::Age, "x", false, 0, Next::Quit),
            ("\u{3}", Sort::Age, "", false, 0, Next::Quit),
            ("!", Sort::Age, "", false, 0, Next::Draw),
        ];
        for (keys, sort, filter, is_typing, above, next) in table {
            let expected = Wish { sort, filter: filter.to_owned(), is_typing, above };
            assert_eq!(pressed(keys), (expected, next), "{keys:?}");
        }
    }
}
