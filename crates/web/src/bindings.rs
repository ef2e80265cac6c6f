//! Bindings to the interfaces of the host, generated from `wit/world.wit`.

#![expect(missing_docs, reason = "generated from wit/world.wit")]

wit_bindgen::generate!({
    path: "../../wit",
    world: "http",
    generate_all,
    pub_export_macro: true,
    default_bindings_module: "web::bindings",
});
