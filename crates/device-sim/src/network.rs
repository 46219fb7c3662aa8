//! What the devices of a fleet share on the way to their hub.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::ClientConfig;
use tokio::time::Instant;

/// How long an answer of the name service is believed. A hub that moves is found again soon.
const BELIEVED: Duration = Duration::from_secs(10);
/// Names that are remembered; a fleet has one hub, or a few gateways.
const NAMES: usize = 64;

pub(crate) struct Network {
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) mqtt_port: u16,
    pub(crate) address: Option<String>,
    pub(crate) token_lifetime: Duration,
    pub(crate) keep_alive: Duration,
    pub(crate) ramp: Ramp,
    pub(crate) addresses: Addresses,
}

/// Spreads connects evenly over time, first and repeated ones alike.
pub(crate) struct Ramp {
    interval: Duration,
    next: Mutex<Option<Instant>>,
}

impl Ramp {
    pub(crate) fn new(connects_per_second: u32) -> Self {
        Self {
            interval: Duration::from_secs(1) / connects_per_second.max(1),
            next: Mutex::new(None),
        }
    }

    /// When the one who asks may connect.
    pub(crate) fn turn(&self, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = next.map_or(now, |next| next.max(now));
        *next = Some(turn + self.interval);
        turn
    }
}

type Known = HashMap<(String, u16), (Instant, Arc<[SocketAddr]>)>;

/// Asks the name service once for all devices that connect together: each question costs a thread.
#[derive(Default)]
pub(crate) struct Addresses(tokio::sync::Mutex<Known>);

impl Addresses {
    pub(crate) async fn of(&self, host: &str, port: u16) -> io::Result<Arc<[SocketAddr]>> {
        // Held while asking, so that who comes meanwhile finds the answer.
        let mut known = self.0.lock().await;
        let name = (host.to_owned(), port);
        if let Some((asked, addresses)) = known.get(&name)
            && asked.elapsed() < BELIEVED
        {
            return Ok(Arc::clone(addresses));
        }
        let addresses: Arc<[SocketAddr]> = tokio::net::lookup_host((host, port)).await?.collect();
        if known.len() >= NAMES {
            known.clear();
        }
        known.insert(name, (Instant::now(), Arc::clone(&addresses)));
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn connects_are_spread_over_time() {
        let ramp = Ramp::new(10);
        let now = Instant::now();
        let turns = [ramp.turn(now), ramp.turn(now), ramp.turn(now)].map(|turn| (turn - now).as_millis());
        assert_eq!(turns, [0, 100, 200]);
        let later = now + Duration::from_secs(60);
        assert_eq!(ramp.turn(later), later);
    }

    #[tokio::test]
    async fn a_name_is_asked_for_once_and_again_when_its_answer_is_old() {
        let addresses = Addresses::default();
        let first = addresses.of("localhost", 8883).await.unwrap();
        assert!(
            first
                .iter()
                .all(|address| address.ip().is_loopback() && address.port() == 8883)
        );
        assert!(Arc::ptr_eq(&first, &addresses.of("localhost", 8883).await.unwrap()));
        assert_eq!(addresses.of("localhost", 1).await.unwrap()[0].port(), 1);
        tokio::time::pause();
        tokio::time::advance(BELIEVED).await;
        assert!(!Arc::ptr_eq(&first, &addresses.of("localhost", 8883).await.unwrap()));
        for port in 1..200 {
            addresses.of("127.0.0.1", port).await.unwrap();
        }
        assert!(addresses.0.lock().await.len() <= NAMES);
    }
}
