//! Telemetry as an operator meets it: exports seen by a real OTLP collector, the text a Prometheus server scrapes, the trace
//! context that travels between services, and what must never be in any of them.

#[cfg(test)]
mod collector;
#[cfg(test)]
mod export;
#[cfg(test)]
mod log_lines;
#[cfg(test)]
mod propagation;
#[cfg(test)]
mod scrape;
