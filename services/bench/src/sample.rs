//! Times of one thing, and how they compare with another's.

use std::time::{Duration, Instant};

/// How often each thing is done before it is timed, and while.
pub(crate) const WARM_UP: usize = 200;

/// Times of one thing, sorted.
pub(crate) struct Sample {
    name: &'static str,
    times: Vec<Duration>,
}

impl Sample {
    /// Does `work` again and again, one after the other, and keeps the times.
    pub(crate) async fn of<E>(
        name: &'static str,
        rounds: usize,
        mut work: impl AsyncFnMut(usize) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut times = Vec::with_capacity(rounds);
        for round in 0..rounds {
            let begin = Instant::now();
            work(round).await?;
            times.push(begin.elapsed());
        }
        times.sort();
        Ok(Self { name, times })
    }

    fn quantile(&self, percent: usize) -> Duration {
        let at = self.times.len().saturating_sub(1) * percent / 100;
        self.times.get(at).copied().unwrap_or_default()
    }

    /// Prints median and 99th percentile.
    pub(crate) fn print(&self) {
        println!(
            "  {:<44} p50 {:>9.1} us   p99 {:>9.1} us",
            self.name,
            micros(self.quantile(50)),
            micros(self.quantile(99))
        );
    }

    /// Prints them, and the ratio of the medians.
    pub(crate) fn print_against(&self, floor: &Self) {
        println!(
            "  {:<44} p50 {:>9.1} us   p99 {:>9.1} us   {:.1} x {}",
            self.name,
            micros(self.quantile(50)),
            micros(self.quantile(99)),
            micros(self.quantile(50)) / micros(floor.quantile(50)).max(0.1),
            floor.name
        );
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
