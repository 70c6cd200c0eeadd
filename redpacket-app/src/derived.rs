//! Derived ids: numbers that follow from what they name, so that a repeat bears the same one and nobody keeps it.
//!
//! Must never: be derived from parts that could be cut in two ways; only the last one may have any length.

use sha2::{Digest, Sha256};

/// The first 16 bytes of the SHA-256 of `parts`.
pub(crate) fn derived(parts: &[&[u8]]) -> u128 {
    let hash = parts.iter().fold(Sha256::new(), Digest::chain_update);
    let digest: [u8; 32] = hash.finalize().into();
    digest.iter().take(16).fold(0, |id, byte| (id << 8) | u128::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_follows_from_its_parts_alone() {
        let user = 7_u128.to_be_bytes();
        assert_eq!(derived(&[b"first funding", &user]), derived(&[b"first ", b"funding", &user]));
        assert_ne!(derived(&[b"first funding", &user]), derived(&[b"first funding", &8_u128.to_be_bytes()]));
    }
}
