//! Packet: sends, grabs and opens; people and chats; what phones list.
//!
//! Must never: move money. A claim is a promise; Tenpay keeps it.

pub(crate) mod expiry;
pub(crate) mod lists;
pub(crate) mod news;
pub(crate) mod open;
pub(crate) mod people;
pub(crate) mod settle;
pub(crate) mod show;
pub(crate) mod sweep;
