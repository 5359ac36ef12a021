//! What `shapes` and `imports` state by hand, compared with the contract as wit-parser reads it: a change of the contract
//! that is forgotten here fails.

use std::collections::BTreeMap;

use bytes::Bytes;
use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::{Function, Resolve, SizeAlign, Type, TypeDefKind};

use super::{Abi, Param};
use crate::bindings::imports::fetch;
use crate::bindings::imports::jwks::Outcome;
use crate::bindings::imports::log::Level;
use crate::bindings::imports::types::GeneratedResponse;
use crate::bindings::stages as raw;
use crate::direct::{by_memory, imports, linker};
use crate::engine::config;

/// The contract.
pub(crate) fn contract() -> Resolve {
    let mut resolve = Resolve::default();
    resolve.push_str("hook.wit", include_str!("../../../../../sdk/wit/hook.wit")).unwrap();
    resolve
}

struct Contract {
    resolve: Resolve,
    sizes: SizeAlign,
}

impl Contract {
    fn new() -> Self {
        let resolve = contract();
        let mut sizes = SizeAlign::default();
        sizes.fill(&resolve);
        Self { resolve, sizes }
    }

    /// Functions by interface and name.
    fn functions(&self) -> BTreeMap<(String, String), &Function> {
        let mut functions = BTreeMap::new();
        for (_, interface) in &self.resolve.interfaces {
            let of = interface.name.clone().unwrap();
            functions.extend(interface.functions.iter().map(|(name, function)| ((of.clone(), name.clone()), function)));
        }
        functions
    }

    fn describe(&self, ty: &Type) -> String {
        let layout = || format!("[{},{}]", self.sizes.size(ty).size_wasm32(), self.sizes.align(ty).align_wasm32());
        let plain = |name: &str| name.replace('-', "");
        let maybe = |ty: &Option<Type>| ty.as_ref().map_or("_".into(), |ty| self.describe(ty));
        let id = match ty {
            Type::Bool => return "bool".into(),
            Type::U8 => return "u8".into(),
            Type::U16 => return "u16".into(),
            Type::U32 => return "u32".into(),
            Type::U64 => return "u64".into(),
            Type::F64 => return "f64".into(),
            Type::String => return "string".into(),
            Type::Id(id) => *id,
            other => panic!("{other:?} is new in the contract"),
        };
        match &self.resolve.types[id].kind {
            TypeDefKind::Type(ty) => self.describe(ty),
            TypeDefKind::List(ty) => format!("list<{}>", self.describe(ty)),
            TypeDefKind::Option(ty) => format!("option<{}>{}", self.describe(ty), layout()),
            TypeDefKind::Result(result) => format!("result<{},{}>{}", maybe(&result.ok), maybe(&result.err), layout()),
            TypeDefKind::Tuple(tuple) => {
                let types: Vec<String> = tuple.types.iter().map(|ty| self.describe(ty)).collect();
                format!("tuple<{}>{}", types.join(","), layout())
            }
            TypeDefKind::Record(record) => {
                let fields =
                    record.fields.iter().map(|field| format!("{}:{}", plain(&field.name), self.describe(&field.ty)));
                format!("record{{{}}}{}", fields.collect::<Vec<_>>().join(","), layout())
            }
            TypeDefKind::Variant(variant) => {
                let cases = variant.cases.iter().map(|case| format!("{}({})", plain(&case.name), maybe(&case.ty)));
                format!("variant{{{}}}{}", cases.collect::<Vec<_>>().join(","), layout())
            }
            TypeDefKind::Enum(cases) => {
                let cases: Vec<String> = cases.cases.iter().map(|case| plain(&case.name)).collect();
                format!("enum{{{}}}", cases.join(","))
            }
            other => panic!("{other:?} is new in the contract"),
        }
    }

    fn result(&self, function: &Function) -> String {
        function.result.as_ref().map_or("_".into(), |ty| self.describe(ty))
    }

    fn params(&self, function: &Function) -> Vec<String> {
        function.params.iter().map(|param| self.describe(&param.ty)).collect()
    }
}

type Described = (&'static str, &'static str, Vec<String>, String, usize);

/// The functions that are defined one by one.
fn singles() -> Vec<Described> {
    let text = String::describe;
    let bytes = Vec::<u8>::describe;
    let got = Result::<Option<Vec<u8>>, String>::describe();
    type Verify = (String, String, Option<String>, Vec<u8>, Vec<u8>);
    let verify = vec![text(), text(), Option::<String>::describe(), bytes(), bytes()];
    let (answer, outcome) = (Result::<GeneratedResponse, String>::describe(), Result::<Outcome, String>::describe());
    vec![
        ("response", "status", vec![], "u16".into(), 0),
        ("clock", "now", vec![], "u64".into(), 0),
        ("log", "write", vec![Level::describe(), text()], "_".into(), <(Level, String)>::FLAT),
        ("crypto", "equal", vec![bytes(), bytes()], "bool".into(), 4),
        ("jwks", "granted", vec![text()], "bool".into(), 2),
        ("metrics", "count", vec![text(), "u64".into()], "_".into(), 3),
        ("jwks", "verify", verify, outcome, Verify::FLAT),
        ("fetch", "send", vec![fetch::Outgoing::describe()], answer, fetch::Outgoing::FLAT),
        ("key-value", "get", vec![text(), text()], got, 4),
        ("key-value", "exists", vec![text(), text()], Result::<bool, String>::describe(), 4),
        ("secrets", "get", vec![text()], Option::<Vec<u8>>::describe(), 2),
        ("data", "size", vec![text()], Option::<u32>::describe(), 2),
        ("data", "read", vec![text(), "u32".into(), "u32".into()], Result::<Bytes, String>::describe(), 4),
    ]
}

/// Interfaces that hooks export.
const EXPORTS: [&str; 6] =
    ["viewer-request", "origin-request", "origin-response", "viewer-response", "authorizer", "settings-check"];

#[test]
fn imports_have_the_types_of_the_contract() {
    let contract = Contract::new();
    let functions = contract.functions();
    let described: Vec<Described> = imports::described().into_iter().chain(singles()).collect();
    for (interface, name, params, result, flat) in &described {
        let function = functions.get(&((*interface).into(), (*name).into()));
        let function = function.unwrap_or_else(|| panic!("{interface}.{name} is not in the contract"));
        assert_eq!((params, result), (&contract.params(function), &contract.result(function)), "{interface}.{name}");
        let signature = contract.resolve.wasm_signature(AbiVariant::GuestImport, function);
        assert!(!signature.indirect_params, "{interface}.{name}");
        assert_eq!(by_memory(interface, name), Some(signature.retptr), "{interface}.{name}");
        assert_eq!(flat + usize::from(signature.retptr), signature.params.len(), "{interface}.{name}");
    }
    let imported = functions.keys().filter(|(interface, _)| !EXPORTS.contains(&interface.as_str()));
    for (interface, name) in imported {
        let times = described.iter().filter(|known| (known.0, known.1) == (interface, name)).count();
        assert_eq!(times, 1, "{interface}.{name} is defined");
    }
    assert_eq!(by_memory("request", "body"), None);
}

/// As core functions, as `load::rewrite` has them imported.
#[test]
fn imports_link() {
    let contract = Contract::new();
    let engine = wasmtime::Engine::new(&config::compiler()).unwrap();
    let word = |ty: &WasmType| match ty {
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
        other => panic!("{other:?} is new in the contract"),
    };
    let mut text = String::from("(module\n");
    for ((interface, name), function) in contract.functions() {
        if EXPORTS.contains(&interface.as_str()) {
            continue;
        }
        let signature = contract.resolve.wasm_signature(AbiVariant::GuestImport, function);
        let params: Vec<&str> = signature.params.iter().map(word).collect();
        let results: Vec<&str> =
            if signature.retptr { vec!["i64"] } else { signature.results.iter().map(word).collect() };
        text.push_str(&format!(
            "(import \"{interface}\" \"{name}\" (func (param {}) (result {})))\n",
            params.join(" "),
            results.join(" ")
        ));
    }
    let module = wasmtime::Module::new(&engine, wat::parse_str(text + ")").unwrap()).unwrap();
    linker(&engine).unwrap().instantiate_pre(&module).map(drop).unwrap();
}

#[test]
fn exports_have_the_types_of_the_contract() {
    let contract = Contract::new();
    let functions = contract.functions();
    let results = [
        ("viewer-request", "handle", Result::<raw::viewer_request::Verdict, String>::describe()),
        ("origin-request", "handle", Result::<raw::origin_request::Verdict, String>::describe()),
        ("origin-response", "handle", Result::<Vec<raw::origin_response::Edit>, String>::describe()),
        ("viewer-response", "handle", Result::<Vec<raw::viewer_response::Edit>, String>::describe()),
        ("authorizer", "handle", Result::<raw::authorizer::Verdict, String>::describe()),
        ("settings-check", "validate", Result::<(), Vec<raw::settings_check::Problem>>::describe()),
    ];
    for (interface, name, result) in results {
        let function = functions[&(interface.to_owned(), name.to_owned())];
        assert_eq!(result, contract.result(function), "{interface}");
        let params = if name == "validate" { vec![String::describe()] } else { vec![] };
        assert_eq!(params, contract.params(function), "{interface}");
        let signature = contract.resolve.wasm_signature(AbiVariant::GuestExport, function);
        assert!(signature.retptr && !signature.indirect_params, "{interface}");
    }
    let exported = functions.keys().filter(|(interface, _)| EXPORTS.contains(&interface.as_str()));
    assert_eq!(exported.count(), EXPORTS.len(), "an export is new in the contract");
}
