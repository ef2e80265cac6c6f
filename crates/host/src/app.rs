//! An application: its manifest and its compiled components.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasmtime::component::{Component, Linker};
use wasmtime::{
    Cache, Config, Engine, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig,
};
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wit_component::ComponentEncoder;

use crate::manifest::Manifest;
use crate::router::Router;
use crate::state::{State, link};

/// The interval at which a computing guest yields to others. Spin increments its epoch at the same
/// interval but never yields: there, one looping guest per worker thread blocks every request.
const EPOCH_INTERVAL: Duration = Duration::from_millis(10);

/// The maximum number of concurrent instances (`SPIN_MAX_INSTANCE_COUNT` in Spin). Requests beyond
/// it get a 500 response; [`Limits::instances`](crate::Limits::instances) is lower.
const MAX_INSTANCES: u32 = 1000;

/// A compiled application. Several servers can share it.
pub struct App {
    /// The manifest.
    pub manifest: Manifest,
    pub(crate) router: Router,
    pub(crate) engine: Engine,
    /// The components by id, linked and ready to instantiate.
    pub(crate) components: BTreeMap<String, ProxyPre<State>>,
    /// Whether instructions are counted.
    pub(crate) metered: bool,
}

impl App {
    /// Reads a manifest and compiles its components. Fails if a component imports an interface that
    /// the host does not link.
    ///
    /// Compiled code is cached per user, so only changed components are compiled.
    pub fn load(manifest: &Path) -> anyhow::Result<App> {
        App::load_with(manifest, false)
    }

    /// Like [`App::load`], but counts the instructions of the components, which slows them down.
    /// See [`Server::take_longest_run`](crate::Server::take_longest_run) and
    /// [`Server::take_instructions`](crate::Server::take_instructions).
    pub fn load_metered(manifest: &Path) -> anyhow::Result<App> {
        App::load_with(manifest, true)
    }

    fn load_with(manifest: &Path, metered: bool) -> anyhow::Result<App> {
        let manifest = Manifest::read(manifest)?;
        let router = Router::new(&manifest)?;
        let engine = engine(metered)?;
        let mut linker = Linker::new(&engine);
        link(&mut linker)?;
        let components = manifest.component.iter().map(|(id, component)| {
            let path = manifest.root.join(component.source());
            let wasm = std::fs::read(&path).map_err(|error| {
                let path = path.display();
                anyhow!("cannot read component {id} from {path}: {error}; run `katas build`")
            })?;
            let compiled = into_component(wasm)
                .and_then(|wasm| Ok(Component::new(&engine, wasm)?))
                .map_err(|error| {
                    let (path, cause) = (path.display(), one_line(&error));
                    anyhow!(
                        "component {id}: {path} is not a WebAssembly component: {cause}; build it \
                         for wasm32-wasip2"
                    )
                })?;
            let linked = linker.instantiate_pre(&compiled).and_then(ProxyPre::new);
            let linked = linked.map_err(|error| {
                anyhow!(
                    "component {id} does not fit the interfaces of the local host: {}; run the \
                     application with Spin",
                    one_line(&error.into())
                )
            })?;
            Ok((id.clone(), linked))
        });
        let components = components.collect::<anyhow::Result<_>>()?;
        increment_epoch(engine.weak());
        Ok(App { manifest, router, engine, components, metered })
    }

    /// Returns the imports and exports of a component, as `package:name/interface@version`.
    pub fn interfaces(&self, id: &str) -> Option<Vec<String>> {
        let component = self.components.get(id)?.instance_pre().component();
        let interfaces = component.component_type();
        let imports = interfaces.imports(&self.engine).map(|(name, _)| name.to_owned());
        let exports = interfaces.exports(&self.engine).map(|(name, _)| name.to_owned());
        Some(imports.chain(exports).collect())
    }
}

/// Returns a component, converted from a core module if `wasm` is one. Spin converts modules too: its
/// templates build them for wasm32-wasip1.
fn into_component(wasm: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    if !wasm.starts_with(b"\0asm\x01\0\0\0") {
        return Ok(wasm);
    }
    ComponentEncoder::default()
        .module(&wasm)?
        .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)?
        .encode()
}

/// Returns an error with its causes on one line.
fn one_line(error: &anyhow::Error) -> String {
    format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Creates an engine with Spin's configuration: fresh instances in a preallocated memory pool.
fn engine(metered: bool) -> anyhow::Result<Engine> {
    let mut config = Config::new();
    config.consume_fuel(metered);
    config.epoch_interruption(true);
    // Without a home directory there is no cache, and every start compiles.
    config.cache(Cache::from_file(None).ok());
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(MAX_INSTANCES)
        .total_core_instances(4 * MAX_INSTANCES)
        .total_memories(MAX_INSTANCES)
        .total_tables(2 * MAX_INSTANCES)
        .total_stacks(MAX_INSTANCES)
        .table_elements(100_000)
        .max_component_instance_size(10 << 20)
        .max_core_instance_size(10 << 20)
        .max_core_instances_per_component(200)
        .max_tables_per_component(64)
        .max_memories_per_component(32)
        .max_tables_per_module(2)
        .max_memories_per_module(2)
        .max_memory_size(4 << 30)
        .linear_memory_keep_resident(2 << 20)
        .table_keep_resident(1 << 19);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config).or_else(|_| {
        // The pool reserves 6 TB of address space, which not every machine allows. Spin falls back
        // in the same way.
        config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
        Engine::new(&config).map_err(anyhow::Error::from)
    })
}

/// Increments the epoch periodically until the engine is dropped.
fn increment_epoch(engine: EngineWeak) {
    std::thread::spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(EPOCH_INTERVAL);
        }
    });
}
