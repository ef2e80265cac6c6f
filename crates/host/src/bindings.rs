//! Bindings for Spin's interfaces, generated from `wit/`. Wasmtime's crates provide those for WASI.

wasmtime::component::bindgen!({
    path: "../../wit",
    inline: "
        package katas:host;

        world host {
            import fermyon:spin/variables@2.0.0;
            import spin:postgres/postgres@4.0.0;
        }
    ",
    world: "katas:host/host",
    imports: { default: async | trappable },
    with: { "spin:postgres/postgres.connection": crate::pool::Connection },
});
