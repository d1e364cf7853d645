//! Adding metrics to a registry.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    Result,
    core::{Collector, Desc},
    proto,
};

/// Bounds of buckets for durations, in seconds: from half a millisecond, what a commit may take, to
/// what nobody waits for any more.
pub const SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Adds metrics to a registry. Each call makes one family, whose name must be new.
#[derive(Clone, Copy, Debug)]
pub struct Registrar<'a> {
    registry: &'a Registry,
}

/// Whether a family that is looked up only ever grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It does; its name ends in `_total`.
    Counter,
    /// It may fall.
    Gauge,
}

/// One value of a family that is looked up.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    labels: Vec<String>,
    value: f64,
}

impl Sample {
    /// Makes the value of a family without labels.
    pub fn of(value: f64) -> Self {
        Self {
            labels: Vec::new(),
            value,
        }
    }

    /// Makes a value with these labels, in the order of their names.
    pub fn labelled<const N: usize>(labels: [&str; N], value: f64) -> Self {
        Self {
            labels: labels.map(str::to_owned).into(),
            value,
        }
    }
}

impl<'a> Registrar<'a> {
    /// Adds to `registry`.
    pub fn new(registry: &'a Registry) -> Self {
        Self { registry }
    }

    /// Adds a counter.
    pub fn counter(self, name: &str, help: &str) -> Result<IntCounter> {
        self.add(IntCounter::new(name, help)?)
    }

    /// Adds counters that are told apart by `label`; those of `values` stand at zero from the start.
    pub fn counters(self, name: &str, help: &str, label: &str, values: &[&str]) -> Result<IntCounterVec> {
        let counters = self.add(IntCounterVec::new(Opts::new(name, help), &[label])?)?;
        for value in values {
            counters.get_metric_with_label_values(&[*value])?;
        }
        Ok(counters)
    }

    /// Adds counters that are told apart by several labels.
    pub fn labelled_counters(self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    /// Adds a gauge.
    pub fn gauge(self, name: &str, help: &str) -> Result<IntGauge> {
        self.add(IntGauge::new(name, help)?)
    }

    /// Adds gauges that are told apart by labels.
    pub fn gauges(self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec> {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    /// Adds a histogram with buckets up to these bounds.
    pub fn histogram(self, name: &str, help: &str, bounds: &[f64]) -> Result<Histogram> {
        let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
        self.add(Histogram::with_opts(options)?)
    }

    /// Adds histograms that are told apart by labels.
    pub fn histograms(self, name: &str, help: &str, bounds: &[f64], labels: &[&str]) -> Result<HistogramVec> {
        let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
        self.add(HistogramVec::new(options, labels)?)
    }

    /// Adds a family whose values `look_up` finds whenever the registry is read.
    ///
    /// A value with another number of labels than there are names is left out.
    pub fn sampled(
        self,
        kind: Kind,
        name: &str,
        help: &str,
        labels: &[&str],
        look_up: impl Fn() -> Vec<Sample> + Send + Sync + 'static,
    ) -> Result<()> {
        let labels: Vec<String> = labels.iter().map(ToString::to_string).collect();
        let desc = Desc::new(
            name.to_owned(),
            help.to_owned(),
            labels.clone(),
            std::collections::HashMap::new(),
        )?;
        self.registry.register(Box::new(LookedUp {
            desc,
            labels,
            kind,
            look_up,
        }))
    }

    fn add<M: Collector + Clone + 'static>(self, metric: M) -> Result<M> {
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

/// A family whose values are looked up.
struct LookedUp<F> {
    desc: Desc,
    labels: Vec<String>,
    kind: Kind,
    look_up: F,
}

impl<F: Fn() -> Vec<Sample> + Send + Sync> Collector for LookedUp<F> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let samples = (self.look_up)();
        let metrics = samples
            .iter()
            .filter(|sample| sample.labels.len() == self.labels.len())
            .map(|sample| self.metric(sample));
        let mut family = proto::MetricFamily::default();
        family.set_name(self.desc.fq_name.clone());
        family.set_help(self.desc.help.clone());
        family.set_field_type(match self.kind {
            Kind::Counter => proto::MetricType::COUNTER,
            Kind::Gauge => proto::MetricType::GAUGE,
        });
        family.set_metric(metrics.collect());
        vec![family]
    }
}

impl<F> LookedUp<F> {
    fn metric(&self, sample: &Sample) -> proto::Metric {
        let labels = self.labels.iter().zip(&sample.labels).map(|(name, value)| {
            let mut pair = proto::LabelPair::default();
            pair.set_name(name.clone());
            pair.set_value(value.clone());
            pair
        });
        let mut metric = proto::Metric::from_label(labels.collect());
        match self.kind {
            Kind::Counter => {
                let mut counter = proto::Counter::default();
                counter.set_value(sample.value);
                metric.set_counter(counter);
            }
            Kind::Gauge => {
                let mut gauge = proto::Gauge::default();
                gauge.set_value(sample.value);
                metric.set_gauge(gauge);
            }
        }
        metric
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(registry: &Registry) -> String {
        prometheus::TextEncoder::new()
            .encode_to_string(&registry.gather())
            .expect("text")
    }

    #[test]
    fn values_are_looked_up_whenever_the_registry_is_read() {
        let registry = Registry::new();
        let count = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
        let counted = count.clone();
        Registrar::new(&registry)
            .sampled(Kind::Counter, "reads_total", "Reads.", &["by"], move || {
                let value = counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                vec![Sample::labelled(["me"], f64::from(value)), Sample::of(99.0)]
            })
            .expect("a new name");
        assert!(text(&registry).contains("reads_total{by=\"me\"} 0"));
        let second = text(&registry);
        assert!(second.contains("reads_total{by=\"me\"} 1"), "{second}");
        assert!(second.contains("# TYPE reads_total counter"), "{second}");
        assert!(!second.contains("99"), "{second}");
    }

    #[test]
    fn a_name_is_given_once() {
        let registry = Registry::new();
        let registrar = Registrar::new(&registry);
        registrar.counter("a_total", "A.").expect("a new name");
        assert!(registrar.counter("a_total", "A.").is_err());
    }

    #[test]
    fn counters_of_known_values_stand_at_zero() {
        let registry = Registry::new();
        Registrar::new(&registry)
            .counters("ends_total", "Ends.", "end", &["good", "bad"])
            .expect("a new name");
        assert!(text(&registry).contains("ends_total{end=\"bad\"} 0"));
    }
}
