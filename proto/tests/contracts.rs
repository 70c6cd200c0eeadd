//! The descriptor set holds every contract, and every part of a contract is documented.
//!
//! Must never: pass a message, field, value or call without a comment in its `.proto` file.

use prost::Message as _;
use prost_types::source_code_info::Location;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

fn files() -> Vec<FileDescriptorProto> {
    FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).expect("the descriptor set decodes").file
}

#[test]
fn descriptor_set_holds_every_service() {
    let services: Vec<String> = files()
        .iter()
        .flat_map(|file| file.service.iter().map(|service| format!("{}.{}", file.package(), service.name())))
        .collect();
    let expected = [
        "tercet.queue.v1.Queue",
        "tercet.queue.v1.Topics",
        "tercet.queue.v1.History",
        "tercet.queue.v1.Moves",
        "tercet.ledger.v1.Ledger",
        "tercet.packet.v1.RedPacket",
        "tercet.pay.v1.Merchants",
        "tercet.pay.v1.Wallet",
        "tercet.pay.v1.Risk",
        "tercet.admin.v1.Admin",
        "tercet.admin.v1.Backups",
        "tercet.admin.v1.Keys",
        "tercet.admin.v1.Members",
        "tercet.admin.v1.Recovery",
    ];
    assert_eq!(services, expected);
}

/// The comment above a declaration, if there is one.
fn has_comment(file: &FileDescriptorProto, path: &[i32]) -> bool {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let commented = |location: &Location| !location.leading_comments().trim().is_empty();
    locations.filter(|location| location.path == path).any(commented)
}

/// Paths of all declarations, as descriptor.proto numbers them: messages 4, enums 5, services 6; fields, values and
/// calls 2. The entries of maps are made by the compiler and have no place in the file.
fn declarations(file: &FileDescriptorProto) -> Vec<Vec<i32>> {
    let parts = |kind: i32, counts: Vec<usize>| {
        (0..).zip(counts).flat_map(move |(at, count)| {
            let members = (0..).take(count).map(move |member| vec![kind, at, 2, member]);
            std::iter::once(vec![kind, at]).chain(members)
        })
    };
    parts(4, file.message_type.iter().map(|message| message.field.len()).collect())
        .chain(parts(5, file.enum_type.iter().map(|values| values.value.len()).collect()))
        .chain(parts(6, file.service.iter().map(|service| service.method.len()).collect()))
        .collect()
}

#[test]
fn every_declaration_has_a_comment() {
    for file in files() {
        let bare: Vec<_> = declarations(&file).into_iter().filter(|path| !has_comment(&file, path)).collect();
        assert!(bare.is_empty(), "{}: no comment at {bare:?}", file.name());
    }
}
