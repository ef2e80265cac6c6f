//! The per-request state of the host, which is the data of the Wasmtime store.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use wasmtime::ResourceLimiter;
use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

use crate::bindings::{fermyon, spin};
use crate::component::ComponentConfig;
use crate::stdio::LineStream;
use crate::variables::validate_name;

pub(crate) struct State {
    pub(crate) component: Arc<ComponentConfig>,
    pub(crate) table: ResourceTable,
    /// The number of database connections that this request holds.
    pub(crate) open_connections: u32,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: NoOutboundHttp,
}

impl State {
    pub(crate) fn new(component: Arc<ComponentConfig>) -> State {
        let mut wasi = WasiCtx::builder();
        wasi.stdout(LineStream::new(component.log.clone()));
        wasi.stderr(LineStream::new(component.log.clone()));
        for (name, value) in &component.environment {
            wasi.env(name, value);
        }
        State {
            component,
            table: ResourceTable::new(),
            open_connections: 0,
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            hooks: NoOutboundHttp,
        }
    }

    /// Logs a warning about behavior that causes problems under Spin.
    pub(crate) fn warn(&self, text: &str) {
        self.component.warn(text);
    }
}

/// Links the interfaces in `wit/world.wit`, so a component that starts here starts on every version of
/// Spin since 3.6, and the older ones in `wit/host.wit`. Modules for wasm32-wasip1 also import a file
/// system, which is empty.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    use wasmtime_wasi::cli::{WasiCli, WasiCliView};
    use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
    use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
    use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, io, random};
    use wasmtime_wasi::random::{WasiRandom, WasiRandomView};
    use wasmtime_wasi_http::WasiHttp;
    use wasmtime_wasi_http::p2::bindings::http;

    type T = State;
    let l = linker;
    io::error::add_to_linker::<T, HasTable>(l, |state| &mut state.table)?;
    io::poll::add_to_linker::<T, HasTable>(l, |state| &mut state.table)?;
    io::streams::add_to_linker::<T, HasTable>(l, |state| &mut state.table)?;
    clocks::monotonic_clock::add_to_linker::<T, WasiClocks>(l, T::clocks)?;
    clocks::wall_clock::add_to_linker::<T, WasiClocks>(l, T::clocks)?;
    random::random::add_to_linker::<T, WasiRandom>(l, T::random)?;
    random::insecure_seed::add_to_linker::<T, WasiRandom>(l, T::random)?;
    cli::environment::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::exit::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::stdin::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::stdout::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::stderr::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_input::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_output::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_stdin::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_stdout::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_stderr::add_to_linker::<T, WasiCli>(l, T::cli)?;
    filesystem::preopens::add_to_linker::<T, WasiFilesystem>(l, T::filesystem)?;
    filesystem::types::add_to_linker::<T, WasiFilesystem>(l, T::filesystem)?;
    http::types::add_to_linker::<T, WasiHttp>(l, &Default::default(), T::http)?;
    fermyon::spin::variables::add_to_linker::<T, HasSelf<T>>(l, |state| state)?;
    fermyon::spin::postgres::add_to_linker::<T, HasSelf<T>>(l, |state| state)?;
    spin::postgres3_0_0::postgres::add_to_linker::<T, HasSelf<T>>(l, |state| state)?;
    spin::postgres4_0_0::postgres::add_to_linker::<T, HasSelf<T>>(l, |state| state)?;
    Ok(())
}

/// Records the peak memory of the component. Memory is not limited, as under Spin by default.
impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.component.peak_memory.fetch_max(desired, Ordering::Relaxed);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        _desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

struct HasTable;

impl wasmtime::component::HasData for HasTable {
    type Data<'a> = &'a mut ResourceTable;
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }
}

impl fermyon::spin::variables::Host for State {
    async fn get(
        &mut self,
        name: String,
    ) -> wasmtime::Result<Result<String, fermyon::spin::variables::Error>> {
        use fermyon::spin::variables::Error;
        if let Err(error) = validate_name(&name) {
            return Ok(Err(Error::InvalidName(error.to_string())));
        }
        let value = self.component.variables.get(&name).cloned();
        let id = &self.component.id;
        Ok(value.ok_or_else(|| Error::Undefined(format!("no variable for {id:?}.{name:?}"))))
    }
}

/// Denies outbound HTTP requests. The interface for them is not linked.
struct NoOutboundHttp;

impl WasiHttpHooks for NoOutboundHttp {
    fn send_request(
        &mut self,
        _: http::Request<wasmtime_wasi_http::WasiBody>,
        _: Option<wasmtime_wasi_http::RequestOptions>,
        _: Box<dyn Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send>,
    ) -> Box<
        dyn Future<
                Output = wasmtime_wasi_http::Result<(
                    http::Response<wasmtime_wasi_http::WasiBody>,
                    Box<dyn Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send>,
                )>,
            > + Send,
    > {
        Box::new(async { Err(wasmtime_wasi_http::Error::HttpRequestDenied) })
    }
}
