//! A throttle as people write it: a rate and a burst, checked once. Must not know how a bucket counts.

/// Rate and burst of a token bucket, as API Gateway's throttle settings: one request costs one token, the bucket starts
/// full with `burst` tokens and refills at `rate` tokens per second
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-request-throttling.html>).
///
/// Rate and burst of 0 are a throttle that lets nothing through, as API Gateway's is that closes a method. Otherwise any finite
/// rate above zero is accepted. Rates above 16 thousand million per second act as that rate, and a rate too
/// small to fill one token within 584 years never refills.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throttle {
    rate: f64,
    burst: u32,
}

/// Why a rate and burst make no throttle.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ThrottleError {
    /// The rate is zero beside a burst, negative, infinite or not a number.
    #[error("rate must be a finite number of requests per second above 0, not {0}")]
    Rate(f64),
    /// A bucket that holds nothing admits nothing, so it needs no rate.
    #[error("burst must be at least 1, or rate 0 too")]
    Burst,
}

impl Throttle {
    /// `rate` in tokens per second, finite and above 0, fractions allowed; `burst` in tokens, at least 1. Or both 0.
    ///
    /// # Errors
    /// [`ThrottleError`] names the value that is out of range.
    pub fn new(rate: f64, burst: u32) -> Result<Self, ThrottleError> {
        if rate == 0.0 && burst == 0 {
            return Ok(Self { rate: 0.0, burst });
        }
        if !(rate.is_finite() && rate > 0.0) {
            return Err(ThrottleError::Rate(rate));
        }
        if burst == 0 {
            return Err(ThrottleError::Burst);
        }
        Ok(Self { rate, burst })
    }

    /// Tokens per second.
    #[must_use]
    pub const fn rate(&self) -> f64 {
        self.rate
    }

    /// Tokens a full bucket holds.
    #[must_use]
    pub const fn burst(&self) -> u32 {
        self.burst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sensible_values_make_a_throttle() {
        for rate in [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(matches!(Throttle::new(rate, 1), Err(ThrottleError::Rate(_))), "{rate}");
        }
        assert_eq!(Throttle::new(1.0, 0), Err(ThrottleError::Burst));
        let closed = Throttle::new(0.0, 0).unwrap();
        assert_eq!((closed.rate(), closed.burst()), (0.0, 0));
        let throttle = Throttle::new(0.001, u32::MAX).unwrap();
        assert_eq!((throttle.rate(), throttle.burst()), (0.001, u32::MAX));
    }
}
