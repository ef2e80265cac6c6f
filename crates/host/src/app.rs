//! An application: its manifest, and its components compiled.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use wasmtime::component::{Component, Linker};
use wasmtime::{
    Cache, Config, Engine, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig,
};

use wasmtime_wasi_http::p2::bindings::ProxyPre;

use crate::manifest::Manifest;
use crate::router::Router;
use crate::state::{State, link};

/// How often a computing guest lets others run. Spin ticks as often, but never interrupts: there,
/// as many guests in a loop as there are threads stop everything.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// The most requests at a time (`SPIN_MAX_INSTANCE_COUNT` in Spin). One more is answered with 500.
const INSTANCES: u32 = 1000;

/// An application, ready to be served, by several servers if need be.
pub struct App {
    /// What `spin.toml` says.
    pub manifest: Manifest,
    pub(crate) router: Router,
    pub(crate) engine: Engine,
    /// By component id: everything about instantiation that is the same for all requests.
    pub(crate) components: BTreeMap<String, ProxyPre<State>>,
    /// Whether the work of the components is counted.
    pub(crate) metered: bool,
}

impl App {
    /// Reads a manifest and compiles its components. What they import must be what `wit/` names.
    ///
    /// Compiled code is cached per user, so that only a component that has changed is compiled.
    pub fn load(manifest: &Path) -> anyhow::Result<App> {
        App::load_as(manifest, false)
    }

    /// The same, with a count of the components' work, which slows them down:
    /// [`Server::work`](crate::Server::work), [`Server::instructions`](crate::Server::instructions).
    pub fn load_metered(manifest: &Path) -> anyhow::Result<App> {
        App::load_as(manifest, true)
    }

    fn load_as(manifest: &Path, metered: bool) -> anyhow::Result<App> {
        let manifest = Manifest::read(manifest)?;
        let router = Router::new(&manifest)?;
        let engine = engine(metered)?;
        let mut linker = Linker::new(&engine);
        link(&mut linker)?;
        let components = manifest.component.iter().map(|(id, component)| {
            let path = manifest.root.join(component.source());
            let wasm = std::fs::read(&path)
                .with_context(|| format!("the component {id} is not built ({})", path.display()))?;
            let compiled = Component::new(&engine, wasm)
                .and_then(|component| ProxyPre::new(linker.instantiate_pre(&component)?))
                .map_err(anyhow::Error::from)
                .with_context(|| {
                    format!("the component {id} needs more than wit/world.wit names")
                })?;
            Ok((id.clone(), compiled))
        });
        let components = components.collect::<anyhow::Result<_>>()?;
        tick(engine.weak());
        Ok(App { manifest, router, engine, components, metered })
    }

    /// What a component imports and exports, `package:name/interface@version` each.
    pub fn interfaces(&self, id: &str) -> Option<Vec<String>> {
        let component = self.components.get(id)?.instance_pre().component();
        let interfaces = component.component_type();
        let imports = interfaces.imports(&self.engine).map(|(name, _)| name.to_owned());
        let exports = interfaces.exports(&self.engine).map(|(name, _)| name.to_owned());
        Some(imports.chain(exports).collect())
    }
}

/// Spin's engine: fresh instances from a pool of memory that is reserved once.
fn engine(metered: bool) -> anyhow::Result<Engine> {
    let mut config = Config::new();
    config.consume_fuel(metered);
    config.epoch_interruption(true);
    // Without a home there is no cache, and every start compiles.
    config.cache(Cache::from_file(None).ok());
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(INSTANCES)
        .total_core_instances(4 * INSTANCES)
        .total_memories(INSTANCES)
        .total_tables(2 * INSTANCES)
        .total_stacks(INSTANCES)
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
        // The pool reserves 6 TB of addresses, which not every machine allows. Spin does the same.
        config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
        Engine::new(&config).map_err(anyhow::Error::from)
    })
}

fn tick(engine: EngineWeak) {
    std::thread::spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    });
}
