//! A board of metrics: registers them with their descriptions, and writes them as Prometheus reads them.
//!
//! [`super::recorded`] has one for as long as the process lives, [`super::observed`] a fresh one for each scrape, so
//! that what is gone (a retired authority) is gone from the text too.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use metrics_facade::{Counter, Histogram, Key, Label, Level, Metadata, Recorder};

use super::names::{ENROLL_STAGE, FSYNC_BUCKETS, LOG_FSYNC, Named, STAGE_BUCKETS};

/// What the facade asks of every metric; the exporter does not look at it.
const METADATA: Metadata<'static> = Metadata::new("journal", Level::INFO, None);

/// See the module.
pub(super) struct Board {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Board {
    pub(super) fn new() -> Self {
        let bucketed = [(ENROLL_STAGE, STAGE_BUCKETS), (LOG_FSYNC, FSYNC_BUCKETS)];
        let builder = bucketed.into_iter().fold(PrometheusBuilder::new(), |builder, (of, buckets)| {
            let matcher = Matcher::Full(of.name.to_owned());
            builder.set_buckets_for_metric(matcher, buckets).expect("no list of buckets is empty")
        });
        let recorder = builder.build_recorder();
        Self { handle: recorder.handle(), recorder }
    }

    /// A counter, at 0.
    pub(super) fn counter(&self, of: Named, labels: Vec<Label>) -> Counter {
        self.recorder.describe_counter(of.name.into(), None, of.says.into());
        self.recorder.register_counter(&Key::from_parts(of.name, labels), &METADATA)
    }

    /// A histogram without samples.
    pub(super) fn histogram(&self, of: Named, labels: Vec<Label>) -> Histogram {
        self.recorder.describe_histogram(of.name.into(), None, of.says.into());
        self.recorder.register_histogram(&Key::from_parts(of.name, labels), &METADATA)
    }

    /// Sets a gauge. Whole numbers up to 2^53 are exact.
    pub(super) fn gauge(&self, of: Named, labels: Vec<Label>, value: f64) {
        self.recorder.describe_gauge(of.name.into(), None, of.says.into());
        self.recorder.register_gauge(&Key::from_parts(of.name, labels), &METADATA).set(value);
    }

    /// All of it in the text format 0.0.4.
    pub(super) fn text(&self) -> String {
        self.handle.render()
    }

    /// Sorts the samples of the histograms into their buckets. Until then each is kept.
    pub(super) fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}
