//! The entrance: who calls, found out from a call's headers before its body is read.
//!
//! ```text
//!  call ─> entrance: proof, key, signature, host, time, never used before ─> Caller in the call's extensions
//!                                                                                │
//!  door ─> admitted(call): has the caller the rights that the call needs? <──────┘
//! ```
//!
//! Why two steps: a stranger costs a look at his headers and no more; what a call is about stands in its body.
//!
//! Must never: let a call pass whose caller is not known, or say more to a stranger than that he is one.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request as HttpRequest, State};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use proto::limits::WIRE_BYTES_MAX;
use proto::outcome::{Hint, not_applied, unknown};
use proto::proof::{AUTHORIZATION, Proof};
use proto::traces::{Kind, door, follow};
use queue_core::KeyPair;
use replica::WallClock;
use tonic::{Request, Status};

use super::failure::{DoorRefusal, not_admitted};
use super::held;
use super::rights::{Asks, Need};
use super::used::{Used, Verdict};
use crate::doors::budget::{Budget, Metered};
use crate::doors::cmq_http::is_mac;
use crate::doors::keys::KeyRing;
use crate::doors::limits::{GRPC_ANSWER_BYTES_MAX, GRPC_CALL_MAX, GRPC_HELD_BYTES_MAX, PROOF_AGE_MAX};

/// Calls that last as long as their clients like.
const STREAMS: [&str; 2] = ["/tercet.queue.v1.Queue/Consume", "/tercet.queue.v1.Queue/Exchange"];
/// The call that reads many bodies and changes nothing: without room for its answer it is not begun.
const PEEK: &str = "/tercet.queue.v1.Queue/Peek";
/// That room: its bodies as they were read, and as they are encoded.
const PEEK_BYTES: usize = 2 * WIRE_BYTES_MAX;
/// A caller whose proof is older than this process signs a new one and comes back after this.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// What the entrance needs.
pub(crate) struct Entrance {
    keys: Arc<KeyRing>,
    /// What this node is called by those who sign.
    hosts: Vec<String>,
    wall: WallClock,
    started_ms: u64,
    is_keyless: bool,
    used: Used,
    budget: Budget,
    answers: Budget,
}

/// Who calls.
#[derive(Clone)]
pub(super) enum Caller {
    /// Somebody on this machine, where no keys are asked for.
    Keyless,
    /// The holder of a key pair.
    Holder(Arc<Holder>),
}

/// A proof that was good. It is held against the key at every use: a key may be rotated or revoked meanwhile.
pub(super) struct Holder {
    keys: Arc<KeyRing>,
    id: String,
    text: String,
    signature: Vec<u8>,
}

impl Entrance {
    /// `hosts`: what this node is called. `is_keyless`: calls need no key; only for an address of this machine alone.
    pub(crate) fn new(keys: Arc<KeyRing>, hosts: Vec<String>, wall: WallClock, is_keyless: bool) -> Self {
        let started_ms = wall();
        let (budget, answers) = (Budget::new(GRPC_HELD_BYTES_MAX), Budget::new(GRPC_ANSWER_BYTES_MAX));
        Self { keys, hosts, wall, started_ms, is_keyless, used: Used::default(), budget, answers }
    }

    /// Who makes this call. Refuses, in this order: `KeyNeeded`, `ProofMalformed`, `SignatureWrong`, `OtherHost`,
    /// `ProofStale`, `ProofUsed`.
    fn caller(&self, rpc: &str, headers: &HeaderMap) -> Result<Caller, Status> {
        let Some(line) = headers.get(AUTHORIZATION) else {
            let text = "this address takes only calls that a key pair has signed";
            return if self.is_keyless { Ok(Caller::Keyless) } else { Err(not_admitted(DoorRefusal::KeyNeeded, text)) };
        };
        let malformed = || not_admitted(DoorRefusal::ProofMalformed, "the authorization is no proof of a key pair");
        let proof = line.to_str().ok().and_then(Proof::read).ok_or_else(malformed)?;
        let signature = STANDARD.decode(&proof.signature).map_err(|_| malformed())?;
        let text = proof.claim.text(rpc);
        let holder = Holder { keys: Arc::clone(&self.keys), id: proof.claim.id, text, signature };
        holder.pair()?;
        if !self.hosts.contains(&proof.claim.host) {
            let ours = self.hosts.join(", ");
            let text = format!("the call is signed for {}, and this node is called {ours}", proof.claim.host);
            return Err(not_admitted(DoorRefusal::OtherHost, &text));
        }
        self.fresh(proof.claim.time_ms, proof.claim.nonce)?;
        Ok(Caller::Holder(Arc::new(holder)))
    }

    fn fresh(&self, time_ms: u64, nonce: u64) -> Result<(), Status> {
        let (now, age_max) = ((self.wall)(), PROOF_AGE_MAX.as_millis());
        if u128::from(now.abs_diff(time_ms)) > age_max {
            let text = format!("the call was signed {} ms away from this node's clock", now.abs_diff(time_ms));
            return Err(not_admitted(DoorRefusal::ProofStale, &text));
        }
        let hint = || Hint { retry_after: Some(RETRY_AFTER), ..Hint::default() };
        // What was used before this process began is not known here.
        if time_ms < self.started_ms {
            return Err(not_applied("the call was signed before this node began", hint()));
        }
        match self.used.take(now, nonce) {
            Verdict::New => Ok(()),
            Verdict::Used => Err(not_admitted(DoorRefusal::ProofUsed, "the call's proof was used before")),
            Verdict::Full => Err(not_applied("too many signed calls; come back later", hint())),
        }
    }
}

impl Holder {
    /// The key pair, as long as it is there and has signed the call.
    fn pair(&self) -> Result<KeyPair, Status> {
        let wrong = || not_admitted(DoorRefusal::SignatureWrong, "the key is not known, or has not signed this call");
        let (pair, now) = self.keys.find(&self.id).ok_or_else(wrong)?;
        let is_good = pair.secrets(now).any(|secret| is_mac(secret, &self.text, &self.signature, true));
        if is_good { Ok(pair) } else { Err(wrong()) }
    }
}

impl Caller {
    /// Whether the caller may do this now. Refuses: `SignatureWrong`, the key is gone; `NoRight`.
    pub(super) fn may(&self, call: &impl Asks) -> Result<(), Status> {
        let Self::Holder(holder) = self else { return Ok(()) };
        let pair = holder.pair()?;
        if call.need().is_met_by(&pair) {
            return Ok(());
        }
        Err(not_admitted(DoorRefusal::NoRight, "the key has not the right that the call needs"))
    }
}

/// Who made a call that has passed the entrance.
pub(super) fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    let missing = || not_admitted(DoorRefusal::KeyNeeded, "the call has not passed the entrance");
    request.extensions().get::<Caller>().cloned().ok_or_else(missing)
}

/// The budget of answers, of a call that has passed the entrance.
pub(super) fn answers<T>(request: &Request<T>) -> Result<Budget, Status> {
    let missing = || not_admitted(DoorRefusal::KeyNeeded, "the call has not passed the entrance");
    request.extensions().get::<Budget>().cloned().ok_or_else(missing)
}

/// A call that its caller may make. Refuses: `SignatureWrong`, `NoRight`.
pub(super) fn admitted<T: Asks>(request: Request<T>) -> Result<T, Status> {
    let caller = caller(&request)?;
    let call = request.into_inner();
    if !matches!(call.need(), Need::Key) {
        caller.may(&call)?;
    }
    Ok(call)
}

/// The entrance as a layer over all services that need it.
pub(super) async fn enter(State(entrance): State<Arc<Entrance>>, mut request: HttpRequest, next: Next) -> Response {
    let caller = match entrance.caller(request.uri().path(), request.headers()) {
        Ok(caller) => caller,
        Err(status) => return status.into_http(),
    };
    request.extensions_mut().insert(caller);
    request.extensions_mut().insert(entrance.answers.clone());
    if STREAMS.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let room = match (request.uri().path() == PEEK).then(|| entrance.answers.room(PEEK_BYTES)).transpose() {
        Ok(room) => room,
        Err(status) => return status.into_http(),
    };
    let request = request.map(|body| axum::body::Body::new(Metered::new(body, &entrance.budget)));
    let span = follow(door(request.headers()), "queue.call", Kind::Server).called(request.uri().path());
    let answered = tokio::time::timeout(GRPC_CALL_MAX, span.within(next.run(request))).await;
    // From here on the answer is counted as large as it is.
    drop(room);
    match answered {
        Ok(response) => held::keep(response, &entrance.answers).await,
        Err(_) => unknown("the call was not whole, or not answered, in time", Hint::default()).into_http(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use hmac::{Hmac, Mac as _};
    use proto::outcome::{DOOR_REFUSALS, Outcome, outcome_of};
    use proto::proof::Claim;
    use proto::queue::v1::{AckRequest, ReceiveRequest, SendRequest};
    use queue_core::Grant;
    use sha2::Sha256;

    use super::*;
    use crate::doors::keys::pair;

    const RPC: &str = "/tercet.queue.v1.Queue/Send";

    fn entrance(is_keyless: bool) -> (Entrance, Arc<AtomicU64>) {
        let wall = Arc::new(AtomicU64::new(1_000_000));
        let clock = Arc::clone(&wall);
        let sends = vec![Grant { pattern: "or*".to_owned(), rights: 1 }];
        let keys = KeyRing::of(vec![pair("AKIDx", "key", sends)]);
        let hosts = vec!["h:1".to_owned()];
        let entrance =
            Entrance::new(Arc::new(keys), hosts, Arc::new(move || clock.load(Ordering::Relaxed)), is_keyless);
        wall.fetch_add(100_000, Ordering::Relaxed);
        (entrance, wall)
    }

    fn line(claim: &Claim, key: &str, rpc: &str) -> HeaderMap {
        let mac =
            Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key of any length").chain_update(claim.text(rpc));
        headers(&claim.line(&STANDARD.encode(mac.finalize().into_bytes())))
    }

    fn headers(line: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::header::AUTHORIZATION, line.parse().expect("it is a header"))])
    }

    fn claim(nonce: u64) -> Claim {
        Claim { id: "AKIDx".to_owned(), host: "h:1".to_owned(), time_ms: 1_100_000, nonce }
    }

    /// 0: let in; 1: to come back; else the number of the refusal.
    fn outcome<T>(result: Result<T, Status>) -> u16 {
        match result.map_err(|status| outcome_of(&status)) {
            Ok(_) => 0,
            Err(Outcome::Refused { number }) => number - DOOR_REFUSALS,
            Err(Outcome::NotApplied(_)) => 1,
            Err(Outcome::Unknown(_)) => 2,
        }
    }

    #[test]
    fn only_a_proof_that_is_good_here_and_now_and_new_lets_a_call_in() {
        let (entrance, _) = entrance(false);
        let (good, age) = (claim(1), 30_000);
        let other = |host: &str, time_ms| Claim { host: host.to_owned(), time_ms, ..claim(2) };
        let now = good.time_ms;
        let table = [
            (HeaderMap::new(), 25),
            (headers("Bearer AKIDx"), 26),
            (headers(&good.line("not base64")), 26),
            (headers(&good.line("AAAA")), 27),
            (line(&good, "other", RPC), 27),
            (line(&Claim { id: "AKIDy".to_owned(), ..good.clone() }, "key", RPC), 27),
            (line(&good, "key", "/tercet.queue.v1.Queue/Receive"), 27),
            (line(&other("h:2", now), "key", RPC), 28),
            (line(&other("h:1", now - age - 1), "key", RPC), 29),
            (line(&other("h:1", now + age + 1), "key", RPC), 29),
            (line(&good, "key", RPC), 0),
            (line(&good, "key", RPC), 30),
            (line(&claim(3), "key", RPC), 0),
            (line(&Claim { time_ms: now - age, ..claim(4) }, "key", RPC), 0),
            (line(&Claim { time_ms: now + age, ..claim(5) }, "key", RPC), 0),
        ];
        for (at, (headers, expected)) in table.into_iter().enumerate() {
            assert_eq!(outcome(entrance.caller(RPC, &headers)), expected, "row {at}");
        }
    }

    #[test]
    fn without_keys_a_call_without_a_proof_passes_and_one_with_a_wrong_proof_does_not() {
        let (entrance, _) = entrance(true);
        assert_eq!(outcome(entrance.caller(RPC, &HeaderMap::new())), 0);
        assert_eq!(outcome(entrance.caller(RPC, &line(&claim(1), "other", RPC))), 27);
    }

    #[test]
    fn what_was_signed_before_the_node_began_comes_back_signed_anew() {
        let (entrance, wall) = entrance(false);
        wall.store(1_010_000, Ordering::Relaxed);
        let before = Claim { time_ms: 999_999, ..claim(1) };
        assert_eq!(outcome(entrance.caller(RPC, &line(&before, "key", RPC))), 1);
    }

    #[test]
    fn a_right_is_looked_up_at_every_use() {
        let (entrance, _) = entrance(false);
        let caller = entrance.caller(RPC, &line(&claim(1), "key", RPC)).unwrap_or(Caller::Keyless);
        let send = |queue: &str| SendRequest { queue: queue.to_owned(), ..SendRequest::default() };
        assert_eq!(outcome(caller.may(&send("orders"))), 0);
        assert_eq!(outcome(caller.may(&send("bills"))), 31);
        assert_eq!(
            outcome(caller.may(&ReceiveRequest { queue: "orders".to_owned(), ..ReceiveRequest::default() })),
            31
        );
        assert_eq!(outcome(caller.may(&AckRequest { queue: "orders".to_owned(), ..AckRequest::default() })), 31);
        let Caller::Holder(holder) = caller else { panic!("it has a key") };
        let none = Arc::new(KeyRing::of(Vec::new()));
        let revoked = Holder {
            keys: none,
            id: holder.id.clone(),
            text: holder.text.clone(),
            signature: holder.signature.clone(),
        };
        assert_eq!(outcome(Caller::Holder(Arc::new(revoked)).may(&send("orders"))), 27);
    }
}
