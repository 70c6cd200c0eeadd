//! Refusals: every "no" of the machine, numbered.
//!
//! Must never: be renumbered. Numbers are stored in former replies and sent to other processes.

use machine::{DecodeError, Layout, Reader, Writer};

/// Declares the refusals once: name, number, text, and the way back from a number.
macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// Why a command was refused. A refused command changed nothing. Precedence: as numbered; where several hold,
        /// the lowest is the answer.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Refusal {
            $($(#[$doc])* $name = $number,)*
        }

        impl Refusal {
            /// All refusals in their order of precedence.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The refusal's number on wires and in logs.
            #[must_use]
            pub const fn number(self) -> u16 {
                self as u16
            }

            const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            const fn of_number(number: u16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

refusals! {
    /// No packet of this name is in this group.
    PacketUnknown = 1, "no such packet";
    /// The packet has no claim on this share.
    ClaimUnknown = 2, "nobody has claimed this share";
    /// The name is taken by something else: another user, chat or packet body, or the order bought another packet.
    AlreadyExists = 3, "the id is in use with other contents";
    /// A name is empty or too long.
    BadName = 4, "a name is empty or too long";
    /// The greeting is too long.
    GreetingTooLong = 5, "the greeting is too long";
    /// The cover's name is too long.
    CoverTooLong = 6, "the cover's name is too long";
    /// No share at all, or not one for each recipient of a direct or exclusive packet.
    BadShares = 7, "the number of shares does not fit the kind of packet";
    /// More shares than a packet may have.
    TooManyShares = 8, "the packet has too many shares";
    /// The total is less than a fen for each share.
    ShareBelowOneFen = 9, "a share would be less than one fen";
    /// The total is more than the limit for each share.
    ShareAboveLimit = 10, "a share would be above the limit";
    /// The total of equal shares is not a multiple of their number.
    BadTotal = 11, "the total does not divide into equal shares";
    /// The packet would live for no time, or too long.
    BadLife = 12, "the packet's life is zero or too long";
    /// A direct packet to its own sender.
    SenderIsRecipient = 13, "a direct packet goes to somebody else";
    /// A user is not registered.
    UserUnknown = 14, "no such user";
    /// The chat does not exist.
    ChatUnknown = 15, "no such chat";
    /// The sender, or a user that an exclusive packet names, is not in the chat.
    NotMember = 16, "not a member of the chat";
    /// The chat has all the members it may have.
    ChatFull = 17, "the chat is full";
    /// The packet is for others: another recipient, another chat, other members.
    NotYours = 18, "the packet is for somebody else";
    /// The password is missing or wrong.
    WrongPassword = 19, "the password is wrong";
    /// All shares were claimed by others. Stays true.
    SoldOut = 20, "all shares are taken";
    /// The packet's time is over and shares were left. Stays true.
    Expired = 21, "the packet has expired";
    /// The packet's time is not over.
    NotDue = 22, "the packet has not expired yet";
    /// The packet owes its payer nothing.
    NothingToRefund = 23, "the packet has no refund";
}

impl Refusal {
    /// Whether a user who holds no share gets this answer for ever: it may then be given without asking the log again.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::SoldOut | Self::Expired)
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.text())
    }
}

impl Layout for Refusal {
    fn encode(&self, out: &mut Writer) {
        out.u16(self.number());
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Self::of_number(input.u16()?).ok_or(DecodeError::Invalid("refusal"))
    }
}
