//! Systems and points: who is measured, and under which load.
//!
//! Must never: give one system another load than the others.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Who is measured. The order is that of a run and of every table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum System {
    /// RabbitMQ, a quorum queue of three members.
    Rabbit,
    /// NATS JetStream, three replicas, a sync before each yes.
    NatsAlways,
    /// The same, synced every two minutes, as it comes: a loss of power takes what was confirmed.
    NatsDefault,
    /// Tercet.
    Tercet,
}

impl System {
    /// Everybody.
    pub(crate) const ALL: [Self; 4] = [Self::Rabbit, Self::NatsAlways, Self::NatsDefault, Self::Tercet];
    /// Whom the word "peer" means in a goal: they keep what they confirm.
    pub(crate) const DURABLE_PEERS: [Self; 2] = [Self::Rabbit, Self::NatsAlways];

    /// The name in results and on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rabbit => "rabbit",
            Self::NatsAlways => "nats-always",
            Self::NatsDefault => "nats-default",
            Self::Tercet => "tercet",
        }
    }

    /// The name for people.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Rabbit => "RabbitMQ",
            Self::NatsAlways => "NATS, sync always",
            Self::NatsDefault => "NATS, default sync",
            Self::Tercet => "Tercet",
        }
    }
}

/// Where it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Point {
    /// One message in flight.
    #[serde(rename = "1")]
    One,
    /// 64 in flight.
    #[serde(rename = "64")]
    Few,
    /// 1,024 in flight.
    #[serde(rename = "1024")]
    Many,
    /// Batches of 128 made by the caller.
    #[serde(rename = "batch128")]
    Batch,
    /// 1,000 messages a second, whatever the answers take.
    #[serde(rename = "open1000")]
    Open,
    /// A queue that is deep.
    #[serde(rename = "backlog")]
    Backlog,
    /// The leader dies.
    #[serde(rename = "kill")]
    Kill,
    /// The leader hangs.
    #[serde(rename = "hang")]
    Hang,
}

/// The load of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    /// Clients that send; as many receive.
    pub(crate) producers: usize,
    /// Calls under way of each.
    pub(crate) window: usize,
    /// Messages of a call.
    pub(crate) batch: usize,
    /// Messages a second of all producers together; 0 = as fast as answers come.
    pub(crate) rate: u64,
}

impl Load {
    /// Messages that are under way at most in a closed loop.
    pub(crate) const fn in_flight(&self) -> usize {
        self.producers * self.window * self.batch
    }

    /// Messages that a consumer may hold.
    pub(crate) const fn prefetch(&self) -> usize {
        self.window * self.batch
    }
}

impl Point {
    /// All points in the order of a run.
    pub(crate) const ALL: [Self; 8] =
        [Self::One, Self::Few, Self::Many, Self::Batch, Self::Open, Self::Backlog, Self::Kill, Self::Hang];

    /// The name in results and on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::One => "1",
            Self::Few => "64",
            Self::Many => "1024",
            Self::Batch => "batch128",
            Self::Open => "open1000",
            Self::Backlog => "backlog",
            Self::Kill => "kill",
            Self::Hang => "hang",
        }
    }

    /// The name for people.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::One => "one in flight",
            Self::Few => "64 in flight",
            Self::Many => "1,024 in flight",
            Self::Batch => "batches of 128",
            Self::Open => "open loop, 1,000/s",
            Self::Backlog => "backlog",
            Self::Kill => "leader killed",
            Self::Hang => "leader hangs",
        }
    }

    /// Its load.
    pub(crate) const fn load(self) -> Load {
        let (producers, window, batch, rate) = match self {
            Self::One => (1, 1, 1, 0),
            Self::Few => (4, 16, 1, 0),
            Self::Many | Self::Backlog => (4, 256, 1, 0),
            Self::Batch => (4, 2, 128, 0),
            Self::Open => (2, 256, 1, 1000),
            Self::Kill | Self::Hang => (6, 10, 1, 0),
        };
        Load { producers, window, batch, rate }
    }
}

impl Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A system or a point, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// A system.
    System(System),
    /// A point.
    Point(Point),
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let system = System::ALL.into_iter().find(|system| system.name() == text).map(Self::System);
        let point = Point::ALL.into_iter().find(|point| point.name() == text).map(Self::Point);
        system.or(point).ok_or_else(|| {
            let names: Vec<&str> =
                System::ALL.map(System::name).into_iter().chain(Point::ALL.map(Point::name)).collect();
            format!("there is no {text}; there are {}", names.join(", "))
        })
    }
}

/// What of each kind was asked for: all of a kind of which nothing is named.
pub(crate) fn chosen(only: &[Name]) -> (Vec<System>, Vec<Point>) {
    let systems: Vec<System> = System::ALL.into_iter().filter(|each| only.contains(&Name::System(*each))).collect();
    let points: Vec<Point> = Point::ALL.into_iter().filter(|each| only.contains(&Name::Point(*each))).collect();
    (
        if systems.is_empty() { System::ALL.to_vec() } else { systems },
        if points.is_empty() { Point::ALL.to_vec() } else { points },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_as_they_are_written() {
        for system in System::ALL {
            assert_eq!(system.name().parse(), Ok(Name::System(system)));
            assert_eq!(serde_json::to_value(system).expect("a name"), system.name());
        }
        for point in Point::ALL {
            assert_eq!(point.name().parse(), Ok(Name::Point(point)));
            assert_eq!(serde_json::to_value(point).expect("a name"), point.name());
        }
        assert!("kafka".parse::<Name>().is_err());
    }

    #[test]
    fn a_kind_of_which_nothing_is_named_is_measured_whole() {
        assert_eq!(chosen(&[]), (System::ALL.to_vec(), Point::ALL.to_vec()));
        let only = [Name::Point(Point::Many), Name::System(System::Tercet), Name::Point(Point::One)];
        assert_eq!(chosen(&only), (vec![System::Tercet], vec![Point::One, Point::Many]));
        assert_eq!(chosen(&only[..1]).0, System::ALL.to_vec());
    }

    #[test]
    fn a_point_has_the_load_that_its_name_says() {
        for (point, in_flight) in [(Point::One, 1), (Point::Few, 64), (Point::Many, 1024), (Point::Batch, 1024)] {
            assert_eq!(point.load().in_flight(), in_flight);
        }
        assert_eq!((Point::Batch.load().batch, Point::Open.load().rate), (128, 1000));
    }
}
