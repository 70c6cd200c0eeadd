//! Credentials: a key pair, and the proof of it that each call carries.
//!
//! Why here: clients, the operators' command and nodes that ask their peers sign in one way.
//!
//! Must never: let the secret leave this process, or print it; or read a clock: who signs brings it.

use std::fmt::{self, Debug, Formatter};
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use tonic::service::Interceptor;
use tonic::{GrpcMethod, Request, Status};

use crate::outcome::{self, Hint};
use crate::proof::{AUTHORIZATION, Claim};
use crate::traces;

/// A clock: time since the Unix epoch, in milliseconds unless said otherwise.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// A file that holds no key pair.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {what}")]
pub struct KeyFileError {
    /// The file.
    pub file: String,
    /// Why not.
    pub what: String,
}

/// A key pair of the queue: its id, and the secret that signs calls.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    id: String,
    secret: String,
}

impl Credentials {
    /// The pair of this id and secret.
    #[must_use]
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { id: id.into(), secret: secret.into() }
    }

    /// The pair that a file holds: its id and its secret, parted by blanks. Errors: it cannot be read, or holds something
    /// else.
    pub fn read(file: &Path) -> Result<Self, KeyFileError> {
        let failed = |what: String| KeyFileError { file: file.display().to_string(), what };
        let text = std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
        match text.split_whitespace().collect::<Vec<_>>()[..] {
            [id, secret] => Ok(Self::new(id, secret)),
            _ => Err(failed("a key file holds an id and a secret, parted by a blank".to_owned())),
        }
    }
}

impl Debug for Credentials {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Signs each call to one node, and says of which trace it is; without credentials it signs none.
#[derive(Clone)]
pub struct Signer {
    credentials: Option<Arc<Credentials>>,
    host: Arc<str>,
    clock: Clock,
}

impl Signer {
    /// Signs the calls to the node at `address`, as it is dialled.
    #[must_use]
    pub fn new(credentials: Option<&Credentials>, address: &str, clock: Clock) -> Self {
        let host = address.split_once("://").map_or(address, |(_, host)| host).trim_end_matches('/');
        Self { credentials: credentials.cloned().map(Arc::new), host: Arc::from(host), clock }
    }

    fn line(&self, credentials: &Credentials, rpc: &str) -> Option<String> {
        let claim = Claim {
            id: credentials.id.clone(),
            host: self.host.to_string(),
            time_ms: (self.clock)(),
            nonce: rand::random(),
        };
        let mac = Hmac::<Sha256>::new_from_slice(credentials.secret.as_bytes()).ok()?;
        let code = mac.chain_update(claim.text(rpc)).finalize().into_bytes();
        Some(claim.line(&STANDARD.encode(code)))
    }
}

impl Debug for Signer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { credentials, host, .. } = self;
        f.debug_struct("Signer").field("credentials", credentials).field("host", host).finish_non_exhaustive()
    }
}

impl Interceptor for Signer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(line) = traces::current().and_then(|current| current.line().parse().ok()) {
            request.metadata_mut().insert(traces::TRACEPARENT, line);
        }
        let Some(credentials) = &self.credentials else { return Ok(request) };
        let unsigned = || outcome::not_applied("the call cannot be signed", Hint::default());
        let method = request.extensions().get::<GrpcMethod<'_>>().ok_or_else(unsigned)?;
        let rpc = format!("/{}/{}", method.service(), method.method());
        let line = self.line(credentials, &rpc).ok_or_else(unsigned)?;
        let mut line: tonic::metadata::AsciiMetadataValue = line.parse().map_err(|_| unsigned())?;
        // Tools that print headers leave it out.
        line.set_sensitive(true);
        request.metadata_mut().insert(AUTHORIZATION, line);
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::Proof;

    fn clock() -> Clock {
        Arc::new(|| 1_767_225_600_000)
    }

    #[test]
    fn a_call_is_signed_for_its_rpc_and_its_host_and_the_secret_stays() {
        let credentials = Credentials::new("AKIDx", "very secret");
        let mut signer = Signer::new(Some(&credentials), "http://127.0.0.1:7101/", clock());
        let sign = |signer: &mut Signer| {
            let mut request = Request::new(());
            request.extensions_mut().insert(GrpcMethod::new("tercet.queue.v1.Queue", "Send"));
            let request = signer.call(request).expect("it is signed");
            let line =
                request.metadata().get(AUTHORIZATION).expect("it is there").to_str().expect("it is text").to_owned();
            assert!(!line.contains("very secret"));
            Proof::read(&line).expect("it is a proof")
        };
        let (one, two) = (sign(&mut signer), sign(&mut signer));
        assert_eq!((one.claim.id.as_str(), one.claim.host.as_str()), ("AKIDx", "127.0.0.1:7101"));
        assert_ne!(one.claim.nonce, two.claim.nonce);
        let mac = Hmac::<Sha256>::new_from_slice(b"very secret").expect("a key of any length");
        let mac = mac.chain_update(one.claim.text("/tercet.queue.v1.Queue/Send"));
        let code = STANDARD.decode(&one.signature).expect("it is base64");
        mac.verify_slice(&code).expect("it is signed by the secret");
        assert!(!format!("{credentials:?} {signer:?}").contains("secret\""), "{credentials:?}");
        assert!(!format!("{credentials:?} {signer:?}").contains("very"));
    }

    #[test]
    fn without_credentials_a_call_passes_and_without_its_name_none_is_signed() {
        let open = Signer::new(None, "h:1", clock()).call(Request::new(())).expect("it passes");
        assert!(open.metadata().is_empty());
        let nameless = Signer::new(Some(&Credentials::new("AKIDx", "s")), "h:1", clock()).call(Request::new(()));
        assert!(nameless.is_err());
    }

    #[test]
    fn a_key_file_holds_an_id_and_a_secret() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let file = folder.path().join("key");
        for (text, is_good) in
            [("AKIDx s\n", true), ("AKIDx\ns", true), ("AKIDx", false), ("a b c", false), ("", false)]
        {
            std::fs::write(&file, text).expect("the file can be written");
            assert_eq!(Credentials::read(&file).ok(), is_good.then(|| Credentials::new("AKIDx", "s")), "{text:?}");
        }
    }
}
