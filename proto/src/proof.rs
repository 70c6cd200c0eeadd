//! How a caller proves its key pair: one line of metadata, signed, and no secret in it.
//!
//! ```text
//!  authorization: TERCET-HMAC-SHA256 id=AKIDx, host=10.0.0.1:7101, time=1767225600000, nonce=42, signature=BASE64
//!  signature    = HMAC-SHA256(secret, "TERCET-HMAC-SHA256\n" rpc "\n" id "\n" host "\n" time "\n" nonce)
//!  rpc          = /tercet.queue.v1.Queue/Send
//! ```
//!
//! Why the host: what was overheard on the way to one node is of no use at another. Why time and nonce: nor twice at the
//! same one. What a call says in its body is guarded by TLS, or by a network that is trusted.
//!
//! Must never: hold a secret, or compute with one. Who has it signs and checks the text made here.

/// Metadata: the proof.
pub const AUTHORIZATION: &str = "authorization";
/// How a proof begins, and the first line of what is signed.
pub const SCHEME: &str = "TERCET-HMAC-SHA256";
/// Bytes of a proof's line: names of hosts are no longer than 253.
pub const PROOF_BYTES_MAX: usize = 1_024;

/// What a proof says besides its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The public half of the key pair.
    pub id: String,
    /// The node that is called, as its caller dialled it: host and port.
    pub host: String,
    /// When it was signed. Units: milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// Drawn anew for each call.
    pub nonce: u64,
}

/// A claim and its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// What it says.
    pub claim: Claim,
    /// Base64, standard alphabet, padded.
    pub signature: String,
}

impl Claim {
    /// What is signed. `rpc`: the path of the call, such as `/tercet.queue.v1.Queue/Send`.
    #[must_use]
    pub fn text(&self, rpc: &str) -> String {
        let Self { id, host, time_ms, nonce } = self;
        format!("{SCHEME}\n{rpc}\n{id}\n{host}\n{time_ms}\n{nonce}")
    }

    /// The line of metadata.
    #[must_use]
    pub fn line(&self, signature: &str) -> String {
        let Self { id, host, time_ms, nonce } = self;
        format!("{SCHEME} id={id}, host={host}, time={time_ms}, nonce={nonce}, signature={signature}")
    }
}

impl Proof {
    /// Reads a line of metadata. `None`: it is not one of ours.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        if line.len() > PROOF_BYTES_MAX {
            return None;
        }
        let fields = line.strip_prefix(SCHEME)?.strip_prefix(' ')?;
        let mut fields = fields.split(',').map(str::trim);
        let mut next = |name: &str| {
            let value = fields.next()?.strip_prefix(name)?.strip_prefix('=')?;
            (!value.is_empty()).then_some(value)
        };
        let claim = Claim {
            id: next("id")?.to_owned(),
            host: next("host")?.to_owned(),
            time_ms: next("time")?.parse().ok()?,
            nonce: next("nonce")?.parse().ok()?,
        };
        let signature = next("signature")?.to_owned();
        fields.next().is_none().then_some(Self { claim, signature })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written_and_nothing_else_is_a_proof() {
        let claim = Claim { id: "AKIDx".to_owned(), host: "[::1]:7101".to_owned(), time_ms: 5, nonce: u64::MAX };
        let line = claim.line("a+b/=");
        let pinned =
            "TERCET-HMAC-SHA256 id=AKIDx, host=[::1]:7101, time=5, nonce=18446744073709551615, signature=a+b/=";
        assert_eq!(line, pinned);
        assert_eq!(Proof::read(&line), Some(Proof { claim: claim.clone(), signature: "a+b/=".to_owned() }));
        assert_eq!(claim.text("/s/m"), "TERCET-HMAC-SHA256\n/s/m\nAKIDx\n[::1]:7101\n5\n18446744073709551615");
        let long = line.replace("AKIDx", &"A".repeat(PROOF_BYTES_MAX));
        let bad = [
            "",
            "Bearer x",
            "TERCET-HMAC-SHA256",
            &line.replace("id=AKIDx", "id="),
            &line.replace("id=", "key="),
            &line.replace("time=5", "time=-5"),
            &line.replace("nonce=18", "nonce=x8"),
            &line.replace(", signature=a+b/=", ""),
            &format!("{line}, more=1"),
            &long,
        ];
        for line in bad {
            assert_eq!(Proof::read(line), None, "{line}");
        }
    }
}
