//! Randomness that repeats: a draw depends on the seed, the device, what it is for and which time
//! it is, never on the order in which things happen.

/// One device's dice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64, device_id: &str) -> Self {
        Self(hash(mix(seed), device_id.as_bytes()))
    }

    /// In `0.0..1.0`; the same for the same `what` and `occasion`.
    pub(crate) fn draw(self, what: &str, occasion: u64) -> f64 {
        let bits = mix(hash(self.0, what.as_bytes()) ^ mix(occasion)) >> 11;
        // 53 bits: what an f64 holds exactly.
        #[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
        let bits = bits as f64;
        bits / (1_u64 << 53) as f64
    }
}

/// FNV-1a: the same on every machine and in every version.
pub(crate) fn hash(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325 ^ start, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// SplitMix64's last step: every bit of the input moves every bit of the output.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_repeats_and_differs_by_seed_device_purpose_and_occasion() {
        let draw = |seed, id, what, occasion| Random::new(seed, id).draw(what, occasion);
        let first = draw(7, "pump-1", "pace", 0);
        assert!((first - draw(7, "pump-1", "pace", 0)).abs() < f64::EPSILON);
        for other in [
            draw(8, "pump-1", "pace", 0),
            draw(7, "pump-2", "pace", 0),
            draw(7, "pump-1", "fault/0", 0),
            draw(7, "pump-1", "pace", 1),
        ] {
            assert!((first - other).abs() > 1e-9);
        }
    }

    #[test]
    fn draws_are_spread_evenly() {
        let mut tenths = [0; 10];
        for number in 0..10_000 {
            let draw = Random::new(7, &format!("d-{number}")).draw("fault/0", 0);
            tenths[(draw * 10.0) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (900..1100).contains(count)), "{tenths:?}");
    }
}
