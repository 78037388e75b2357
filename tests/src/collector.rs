//! An OTLP collector over gRPC that keeps the spans it is sent, for tests of what an installation tells its operators.

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// One span, as far as tests look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// `service.name` of the process.
    pub process: String,
    pub name: String,
    /// Lower-case hex.
    pub trace: String,
    pub span: String,
    pub parent: String,
}

#[derive(Default)]
struct Received {
    spans: Vec<Seen>,
    everything: String,
}

/// Serves as long as its runtime.
#[derive(Clone)]
pub struct Collector {
    received: Arc<Mutex<Received>>,
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
}

impl Collector {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let collector = Self { received: Arc::default(), endpoint };
        let server = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(collector.clone()))
            .add_service(MetricsServiceServer::new(collector.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        #[expect(clippy::disallowed_methods, reason = "a test's server ends with its runtime")]
        tokio::spawn(server);
        Ok(collector)
    }

    #[must_use]
    pub fn spans(&self) -> Vec<Seen> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).spans.clone()
    }

    /// Everything received, spans and metrics, for a search.
    #[must_use]
    pub fn everything(&self) -> String {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).everything.clone()
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let request = request.into_inner();
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        received.everything.push_str(&format!("{request:?}"));
        for resource in request.resource_spans {
            let attributes = resource.resource.map(|r| r.attributes).unwrap_or_default();
            let named = attributes.iter().find(|a| a.key == "service.name");
            let process = match named.and_then(|a| a.value.as_ref()).and_then(|v| v.value.as_ref()) {
                Some(Value::StringValue(name)) => name.clone(),
                _ => String::new(),
            };
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                received.spans.push(Seen {
                    process: process.clone(),
                    name: span.name,
                    trace: hex::encode(span.trace_id),
                    span: hex::encode(span.span_id),
                    parent: hex::encode(span.parent_span_id),
                });
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        received.everything.push_str(&format!("{:?}", request.into_inner()));
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}
