//! Bindings for Spin's interfaces, generated from `wit/`. Wasmtime's crates provide those for WASI.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "katas:services/host",
    imports: { default: async | trappable },
    with: {
        "fermyon:spin/postgres.connection": crate::pool::Connection,
        "spin:postgres/postgres@3.0.0.connection": crate::pool::Connection,
        "spin:postgres/postgres@4.0.0.connection": crate::pool::Connection,
    },
});
