//! Refusals: every "no" of the ledger, numbered.
//!
//! Why: the money was surely not moved, and the caller must know why in a form that a program can read.
//!
//! Must never: be renumbered; their order is the order in which a verb looks.

use machine::{DecodeError, Layout, Reader, Writer};

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)+) => {
        /// Why a step was refused. Numbered, never renumbered. Invariant: of several reasons, the lowest is given.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Refusal {
            $($(#[$doc])* $name = $number,)+
        }

        impl Refusal {
            /// All refusals in order of precedence.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The refusal's number.
            #[must_use]
            pub const fn number(self) -> u16 {
                match self {
                    $(Self::$name => $number,)+
                }
            }

            /// The refusal of this number, if there is one.
            #[must_use]
            pub const fn numbered(number: u16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)+
                    _ => None,
                }
            }
        }

        impl core::fmt::Display for Refusal {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(match self {
                    $(Self::$name => $text,)+
                })
            }
        }
    };
}

refusals! {
    /// More steps than one command may hold.
    BatchTooLarge = 1, "the batch holds too many steps";
    /// Another step of its chain was refused; nothing of the chain was booked.
    LinkedFailed = 2, "another step of the linked chain was refused";
    /// The batch ends within a chain.
    ChainOpen = 3, "the last step of the batch is linked to nothing";
    /// The same identity was used for something else.
    IdReused = 4, "the id was used for a different body";
    /// The packet was refunded, with another amount or to another account.
    AlreadyRefunded = 5, "the packet was refunded already";
    /// The order was cancelled for good before its debit came.
    OrderCancelled = 6, "the order was cancelled";
    /// Zero or less.
    AmountNotPositive = 7, "the amount must be positive";
    /// Above what one entry may move.
    AmountTooLarge = 8, "the amount is too large";
    /// The description of the packet is too long.
    DetailsTooLarge = 9, "the description of the packet is too long";
    /// A hold must end, and within the limit.
    HoldTimeInvalid = 10, "the hold's time is zero or too long";
    /// Below zero, or above what any account may hold.
    CeilingInvalid = 11, "the ceiling is below zero or too high";
    /// Credits go to a group of the ledger.
    GroupInvalid = 12, "the group holds no accounts";
    /// Debit and credit are one.
    SameAccount = 13, "an account cannot pay itself";
    /// There is no escrow of that packet here.
    PacketUnknown = 14, "no such packet was paid here";
    /// No such hold was ever made here.
    HoldUnknown = 15, "no such hold";
    /// The hold was posted, voided, or its time is over.
    HoldEnded = 16, "the hold has ended";
    /// The hold is between other accounts.
    HoldDiffers = 17, "the hold is between other accounts";
    /// More than what is held.
    AmountExceedsHold = 18, "the amount is above what is held";
    /// No such credit is parked (any more).
    ParkedUnknown = 19, "no such credit is parked";
    /// The named account does not exist here.
    AccountUnknown = 20, "no such account";
    /// The account to be debited does not exist here.
    DebitUnknown = 21, "no such account to debit";
    /// The account to be credited does not exist here.
    CreditUnknown = 22, "no such account to credit";
    /// The named account was closed.
    AccountClosed = 23, "the account is closed";
    /// The account to be debited was closed.
    DebitClosed = 24, "the account to debit is closed";
    /// The account to be credited was closed.
    CreditClosed = 25, "the account to credit is closed";
    /// The account may not be debited for the time being.
    DebitFrozen = 26, "the account to debit is frozen";
    /// The account exists with another kind or currency.
    AccountDiffers = 27, "the account exists with another kind or currency";
    /// The shard keeps no more currencies.
    TooManyCurrencies = 28, "accounts in too many currencies";
    /// An account is kept in another currency.
    CurrencyMismatch = 29, "the currency is not the account's";
    /// The packet was paid by another order.
    PacketExists = 30, "the packet was paid by another order";
    /// The packet was paid by another account.
    PayerDiffers = 31, "the packet was paid by another account";
    /// The account has too many claims that are not credited yet.
    TooManyClaims = 32, "too many claims wait for the account";
    /// The packet's escrow does not hold that much.
    EscrowShort = 33, "the packet's escrow does not hold that much";
    /// The available balance (holds counted) is short.
    InsufficientFunds = 34, "the available balance is short";
    /// The account may not hold that much (what is held for it counted).
    CeilingReached = 35, "the account may not hold that much";
    /// A balance would pass its limit.
    BalanceLimit = 36, "a balance would pass its limit";
    /// Holds touch the account.
    HoldsPending = 37, "holds touch the account";
    /// Credits are on their way to the account.
    ClaimsPending = 38, "credits are on their way to the account";
    /// Packets of the account still hold money.
    PacketsLive = 39, "packets of the account still hold money";
    /// Money lies in the account.
    BalanceNotZero = 40, "money lies in the account";
    /// The payer may not pay that much at once.
    PaymentLimit = 41, "the payer may not pay that much at once";
    /// The payer may not pay that much within a day.
    DayLimit = 42, "the payer may not pay that much within a day";
    /// Only a merchant has orders.
    NotMerchant = 43, "the account is no merchant's";
    /// The merchant's shard has no such order.
    OrderUnknown = 44, "no such order";
    /// The order is another merchant's.
    MerchantDiffers = 45, "the order is another merchant's";
    /// The order is for another amount, or was paid by another account.
    OrderDiffers = 46, "the order is for another amount or was paid by another account";
    /// The order was paid, by this or another payment.
    OrderPaid = 47, "the order is paid";
    /// The order was closed, or its time is over.
    OrderClosed = 48, "the order is closed";
    /// Nothing can go back of an order that was not paid.
    OrderUnpaid = 49, "the order is not paid";
    /// More would go back than was paid.
    RefundTooLarge = 50, "more would go back than was paid";
    /// The verifier is not the one that was to be replaced.
    VerifierDiffers = 51, "the payment password was changed meanwhile";
    /// The caller's word for what a transfer is belongs to the ledger.
    CodeReserved = 52, "the code is one of the ledger's own";
}

impl core::error::Error for Refusal {}

impl Layout for Refusal {
    fn encode(&self, out: &mut Writer) {
        out.u16(self.number());
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Self::numbered(input.u16()?).ok_or(DecodeError::Invalid("refusal"))
    }
}
