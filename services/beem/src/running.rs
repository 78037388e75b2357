//! A process from start to drain. Start: admin port, services, gRPC listener, gateway, first account, ready. Stop: not
//! ready, the edge drains, the gRPC listener drains, the background loops end, telemetry is flushed.

use crate::admin_socket;
use crate::bootstrap::bootstrap;
use crate::compose::House;
use crate::links::Links;
use crate::settings::Settings;
use anyhow::{Context, Result};
use beem_gateway::edge::Edge;
use beem_link::LocalService;
use beem_proto::Contract;
use beem_runtime::{Admin, Ready, Tasks, TlsListener, serve_admin, serve_grpc};
use beem_telemetry::Telemetry;
use futures::FutureExt;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tower::{ServiceExt, service_fn};

/// How long background loops have to end.
const TASKS_PATIENCE: Duration = Duration::from_secs(10);

/// How long the gRPC listener has to drain.
const GRPC_PATIENCE: Duration = Duration::from_secs(15);

/// A process that serves.
pub struct Running {
    /// The public listener; None in a process without a gateway.
    pub address: Option<SocketAddr>,
    /// The Owner's activation link, when this start made the first account.
    pub owner_link: Option<String>,
    edge: Option<JoinHandle<()>>,
    grpc: Option<JoinHandle<()>>,
    draining: CancellationToken,
    stop_grpc: CancellationToken,
    tasks: Tasks,
    telemetry: Telemetry,
}

/// Starts a process. Returns once it serves; what is away is waited for.
///
/// # Errors
/// Settings that cannot be used, addresses and files that cannot be had.
pub async fn start(settings: Settings, telemetry: Telemetry) -> Result<Running> {
    let house = House::found(settings, telemetry.clone())?;
    let tasks = Tasks::new(telemetry.clone());
    let draining = CancellationToken::new();
    let (set_ready, readiness) = watch::channel(Vec::new());
    let admin = Admin { ready: readiness, telemetry: telemetry.clone(), draining: draining.clone() };
    if let Some(listen) = &house.settings.admin_listen {
        let listener = bind(listen).await.context("admin_listen")?;
        tasks.spawn(serve_admin(listener, admin.clone(), tasks.cancelled()));
    }
    let mut links = Links::new(&house.settings, &house.keys, &house.telemetry);
    let behind = house.services(&mut links).await?;
    behind.tasks.into_iter().for_each(|task| tasks.supervise(task));
    let stop_grpc = CancellationToken::new();
    let grpc = grpc(&house, links.local(), behind.grpc_names, stop_grpc.clone()).await?;
    let mut running =
        Running { address: None, owner_link: None, edge: None, grpc, draining, stop_grpc, tasks, telemetry };
    let mut ready = behind.ready;
    if house.settings.running().map_err(anyhow::Error::msg)?.contains(&"gateway") {
        running.open_gateway(&house, &links, admin).await?;
        ready.push(("gateway", Arc::new(|| async { Ok(()) }.boxed())));
    }
    if house.settings.is_embedded() {
        running.open_house(&house, &links).await?;
    }
    set_ready.send_replace(ready);
    running.tasks.spawn(hold((house.data_dir, set_ready), running.tasks.cancelled()));
    Ok(running)
}

impl Running {
    async fn open_gateway(&mut self, house: &House, links: &Links<'_>, admin: Admin) -> Result<()> {
        let settings = &house.settings.gateway;
        let listen: SocketAddr = settings.listen.parse().context("gateway.listen is no address and port")?;
        let edge =
            Edge::bind(listen, settings.edge.clone(), house.clock.clone(), house.entropy.clone()).await;
        let edge = edge.with_context(|| format!("cannot listen on {listen}"))?;
        let address = edge.local_address()?;
        let ready: Ready = Arc::new(move || {
            let admin = admin.clone();
            async move { admin.readiness().await }.boxed()
        });
        house.origin.get_or_init(|| base_url(&house.settings, address));
        let (gateway, tasks) = house.gateway(links, address, ready).await?;
        tasks.into_iter().for_each(|task| self.tasks.supervise(task));
        let draining = self.draining.clone();
        self.address = Some(address);
        self.edge = Some(beem_runtime::spawn(async move {
            let drained = edge.serve(gateway, draining).await;
            if drained.cut_off > 0 {
                tracing::warn!(
                    connections = drained.cut_off,
                    "connections were cut off at the end of the drain"
                );
            }
        }));
        Ok(())
    }

    /// What only the embedded shape has: the first account and the admin socket.
    async fn open_house(&mut self, house: &House, links: &Links<'_>) -> Result<()> {
        let (Some(dir), Some(address)) = (&house.data_dir, self.address) else { return Ok(()) };
        let base_url = base_url(&house.settings, address);
        let directory = links.link("admin", "identity")?;
        self.owner_link = bootstrap(dir, directory, &base_url, &house.entropy).await?;
        let (path, contract) = (dir.file("admin.sock"), house.contract.clone());
        let (all, stop) = (links.all_from("admin")?, self.tasks.cancelled());
        self.tasks.spawn(async move {
            if let Err(error) = admin_socket::serve(&path, contract, all, stop).await {
                tracing::error!(%error, "the admin socket ended");
            }
        });
        Ok(())
    }

    /// Stops taking requests, finishes those under way, ends everything.
    pub async fn drain(self) {
        self.draining.cancel();
        if let Some(edge) = self.edge {
            let _ = edge.await;
        }
        self.stop_grpc.cancel();
        if let Some(grpc) = self.grpc
            && tokio::time::timeout(GRPC_PATIENCE, grpc).await.is_err()
        {
            tracing::warn!("the gRPC listener did not drain in time");
        }
        if !self.tasks.drain(TASKS_PATIENCE).await {
            tracing::warn!("some background tasks did not end in time");
        }
        self.telemetry.shutdown().await;
    }
}

/// Where callers find the gateway.
#[must_use]
pub fn base_url(settings: &Settings, address: SocketAddr) -> String {
    settings.gateway.public_origins.first().cloned().unwrap_or_else(|| format!("http://{address}"))
}

async fn grpc(
    house: &House,
    local: &BTreeMap<String, LocalService>,
    grpc_names: Vec<&'static str>,
    stop: CancellationToken,
) -> Result<Option<JoinHandle<()>>> {
    let Some(grpc) = &house.settings.grpc else { return Ok(None) };
    let Some(listen) = &grpc.listen else { return Ok(None) };
    let listener = bind(listen).await.context("grpc.listen")?;
    let tls = grpc.tls.as_ref().map(|t| TlsListener {
        certificate: t.certificate.clone(),
        key: t.key.clone(),
        authority: t.authority.clone(),
    });
    let service = dispatch(house.contract.clone(), local.clone());
    Ok(Some(beem_runtime::spawn(async move {
        if let Err(error) = serve_grpc(listener, tls.as_ref(), &grpc_names, service, stop).await {
            tracing::error!(error = ?error, "the gRPC listener ended");
        }
    })))
}

/// The services of this process behind one listener: a method goes to its owner; one that every service serves (`*`) to
/// the audience its caller names, which the guard there then holds against the token.
fn dispatch(contract: Contract, local: BTreeMap<String, LocalService>) -> LocalService {
    LocalService::new(service_fn(move |request: http::Request<Body>| {
        let owner = contract.method(request.uri().path()).map_or("", |m| m.owner.as_str());
        let named = request.headers().get(beem_caller::metadata::AUDIENCE).and_then(|v| v.to_str().ok());
        let name = if owner == "*" { named.unwrap_or_default() } else { owner };
        let service = local.get(name).cloned();
        async move {
            match service {
                Some(service) => service.oneshot(request).await,
                None => Ok::<_, Infallible>(Status::unimplemented("no such method here").into_http()),
            }
        }
    }))
}

async fn bind(listen: &str) -> Result<TcpListener> {
    let address: SocketAddr = listen.parse().with_context(|| format!("{listen} is no address and port"))?;
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// Keeps something until the process ends: the data directory's lock, the readiness that others watch.
async fn hold<T: Send>(kept: T, cancel: CancellationToken) {
    cancel.cancelled().await;
    drop(kept);
}
