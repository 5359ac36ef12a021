//! What the library asks for that is not JavaScript: the message of the call, the edge's tools, and bytes in other forms.
//! All of it is given to the library at its start, as the functions of one object; functions of users never see it.
#![expect(clippy::needless_pass_by_value, reason = "the engine hands arguments over by value")]

use edgeweir_sdk::bindings::imports::edgeweir::hook::types::{GeneratedResponse, Header};
use edgeweir_sdk::bindings::imports::edgeweir::hook::{context, request, response, viewer};
use edgeweir_sdk::bindings::optional::edgeweir::hook::{body, key_value, origins};
use edgeweir_sdk::log::Level;
use edgeweir_sdk::{crypto, http, random};
use rquickjs::convert::List;
use rquickjs::function::{Func, Opt};
use rquickjs::{Ctx, Exception, Object, Result, TypedArray, Value};

use crate::digests::Algorithm;
use crate::headers::Fields;
use crate::outcome::{self, Edit};
use crate::{asked, headers, modules, outgoing, records, system};

/// Facts of the request by number: a number costs less than a name.
fn fact(nth: u32) -> String {
    match nth {
        0 => request::method(),
        1 => request::path(),
        2 => request::authority(),
        3 => viewer::address(),
        4 => context::distribution(),
        5 => context::request_id(),
        _ => context::stage(),
    }
}

/// The response's header fields: with `records` all of them, as Lambda@Edge has them; without, those of CloudFront Functions.
fn response_headers(ctx: Ctx<'_>, records: bool) -> Result<Object<'_>> {
    let fields = response_fields(records);
    let object = Object::new(ctx.clone())?;
    let shown = fill(&ctx, &object, &fields, records);
    outcome::with(|outcome| outcome.fields = Some(fields));
    shown.map(|()| object)
}

fn response_fields(records: bool) -> Fields {
    let read = outcome::with(|outcome| outcome.fields.take());
    read.unwrap_or_else(|| headers::part(response::headers(), if records { "" } else { "set-cookie" }))
}

/// Makes the response's header fields what the object says. `fresh` is the stage where it is not the object that the function was
/// given: then what it does not name and may not be changed there stays.
fn change_response_headers<'js>(ctx: Ctx<'js>, object: Object<'js>, fresh: Option<u32>, records: bool) -> Result<()> {
    change(&ctx, &object, response_fields(records), fresh, records)
}

pub(crate) fn change<'js>(
    ctx: &Ctx<'js>,
    object: &Object<'js>,
    mut fields: Fields,
    fresh: Option<u32>,
    records: bool,
) -> Result<()> {
    if let Some(stage) = fresh {
        let named: Vec<String> = object.keys().collect::<Result<_>>()?;
        fields.retain(|(name, _)| !headers::is_read_only(stage, name) || named.contains(name));
    }
    let mut edits = Vec::new();
    headers::changes(ctx, &fields, object, lines(records), |edit| edits.push(Edit::Header(edit)))?;
    outcome::with(|outcome| outcome.edits.append(&mut edits));
    Ok(())
}

pub(crate) fn fill<'js>(
    ctx: &Ctx<'js>,
    object: &Object<'js>,
    fields: &[(String, String)],
    records: bool,
) -> Result<()> {
    if records { records::fill(ctx, object, fields) } else { headers::fill(ctx, object, fields) }
}

fn response_cookies() -> Vec<String> {
    response::header_values("set-cookie").into_iter().map(|line| headers::text("set-cookie", line)).collect()
}

fn lines(records: bool) -> headers::Lines {
    if records { records::lines } else { headers::lines }
}

/// Replaces all lines of a field.
fn set_lines(name: String, lines: Vec<String>) {
    use edgeweir_sdk::bindings::imports::edgeweir::hook::types::HeaderEdit;

    let lines: Vec<Vec<u8>> = lines.into_iter().map(|line| headers::bytes(&name, line)).collect();
    outcome::with(|outcome| {
        if lines.is_empty() {
            outcome.edits.push(Edit::Header(HeaderEdit::Remove(name.clone())));
        }
        for (nth, line) in lines.into_iter().enumerate() {
            let header = Header { name: name.clone(), value: line };
            let edit = if nth == 0 { HeaderEdit::Set(header) } else { HeaderEdit::Append(header) };
            outcome.edits.push(Edit::Header(edit));
        }
    });
}

fn set_path(path: String) {
    outcome::with(|outcome| outcome.edits.push(Edit::Path(path)));
}

fn set_query(query: Option<String>) {
    outcome::with(|outcome| outcome.edits.push(Edit::Query(query)));
}

fn set_origin(name: String) {
    outcome::with(|outcome| outcome.edits.push(Edit::Origin(name)));
}

fn set_status(ctx: Ctx<'_>, status: f64) -> Result<()> {
    let status = code(&ctx, status)?;
    outcome::with(|outcome| outcome.edits.push(Edit::Status(status)));
    Ok(())
}

fn set_body(body: Value<'_>) -> Result<()> {
    let body = content(&body)?;
    outcome::with(|outcome| outcome.edits.push(Edit::Body(body)));
    Ok(())
}

fn code(ctx: &Ctx<'_>, status: f64) -> Result<u16> {
    // Whether it is one of HTTP's is the edge's to say.
    if status.fract() == 0.0 && (0.0..=65_535.0).contains(&status) {
        return Ok(status as u16);
    }
    Err(Exception::throw_type(ctx, "`statusCode` has to be a whole number"))
}

/// Text, or bytes.
pub(crate) fn content(value: &Value<'_>) -> Result<Vec<u8>> {
    if let Some(text) = value.as_string() {
        return Ok(text.to_string()?.into_bytes());
    }
    let bytes = TypedArray::<u8>::from_value(value.clone())?;
    Ok(system::bytes(&bytes))
}

fn respond<'js>(
    ctx: Ctx<'js>,
    status: f64,
    fields: Object<'js>,
    cookies: Vec<String>,
    body: Value<'js>,
    Opt(records): Opt<bool>,
) -> Result<()> {
    use edgeweir_sdk::bindings::imports::edgeweir::hook::types::HeaderEdit;

    let status = code(&ctx, status)?;
    let body = content(&body)?;
    let mut list = Vec::new();
    headers::changes(&ctx, &Vec::new(), &fields, lines(records.unwrap_or(false)), |edit| {
        if let HeaderEdit::Set(header) | HeaderEdit::Append(header) = edit {
            list.push(header);
        }
    })?;
    let cookie = |line: String| Header { name: "set-cookie".to_owned(), value: line.into_bytes() };
    list.extend(cookies.into_iter().map(cookie));
    outcome::with(|outcome| outcome.response = Some(GeneratedResponse { status, headers: list, body }));
    Ok(())
}

fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("")
}

fn algorithm(ctx: &Ctx<'_>, name: &str) -> Result<Algorithm> {
    Algorithm::named(name).ok_or_else(|| {
        let text = format!("no hash function `{name}`: there is md5, sha1, sha256, sha384 and sha512");
        Exception::throw_message(ctx, &text)
    })
}

fn knows(name: String) -> bool {
    Algorithm::named(&name).is_some()
}

fn hash<'js>(ctx: Ctx<'js>, name: String, data: Value<'js>) -> Result<TypedArray<'js, u8>> {
    let hash = algorithm(&ctx, &name)?.hash(&content(&data)?);
    TypedArray::new(ctx, hash)
}

fn hmac<'js>(ctx: Ctx<'js>, name: String, key: Value<'js>, data: Value<'js>) -> Result<TypedArray<'js, u8>> {
    let hmac = algorithm(&ctx, &name)?.hmac(&content(&key)?, &content(&data)?);
    TypedArray::new(ctx, hmac)
}

fn equal<'js>(a: Value<'js>, b: Value<'js>) -> Result<bool> {
    Ok(crypto::equal(&content(&a)?, &content(&b)?))
}

fn random_bytes(ctx: Ctx<'_>, length: u32) -> Result<TypedArray<'_, u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < length as usize {
        let left = length as usize - bytes.len();
        bytes.append(&mut random::bytes(u32::try_from(left.min(4096)).unwrap_or(4096)));
    }
    TypedArray::new(ctx, bytes)
}

/// `Math.random`: xoroshiro128+, started by the edge's generator in each call that asks.
fn random_number() -> f64 {
    let [mut a, mut b] = outcome::with(|outcome| outcome.random).unwrap_or_else(|| {
        // All zeros would stay so.
        [random::u64() | 1, random::u64()]
    });
    let sum = a.wrapping_add(b);
    b ^= a;
    a = a.rotate_left(24) ^ b ^ (b << 16);
    b = b.rotate_left(37);
    outcome::with(|outcome| outcome.random = Some([a, b]));
    let number = (sum >> 11) as f64;
    number / (1_u64 << 53) as f64
}

fn write(level: u32, line: String) {
    let level = match level {
        0 => Level::Debug,
        1 => Level::Info,
        2 => Level::Warn,
        _ => Level::Error,
    };
    edgeweir_sdk::log::write(level, &line);
}

fn value<'js>(ctx: Ctx<'js>, store: String, key: String) -> Result<Option<TypedArray<'js, u8>>> {
    match key_value::get(&store, &key) {
        Ok(Some(value)) => TypedArray::new(ctx, value).map(Some),
        Ok(None) => Ok(None),
        Err(message) => Err(Exception::throw_message(&ctx, &message)),
    }
}

/// How many keys a store has, and when it was changed last, in milliseconds since 1970.
fn store_meta(ctx: Ctx<'_>, store: String) -> Result<Vec<f64>> {
    match key_value::meta(&store) {
        Ok((keys, changed)) => Ok(vec![keys as f64, changed as f64]),
        Err(message) => Err(Exception::throw_message(&ctx, &message)),
    }
}

/// The choice of an origin, as JSON; see the contract.
fn choose_origin(ctx: Ctx<'_>, choice: String) -> Result<()> {
    origins::choose(&choice).map_err(|message| Exception::throw_message(&ctx, &message))
}

fn current_origin() -> Option<String> {
    origins::current()
}

/// The request's body in base64, and whether it was cut; nothing where the binding does not grant it.
fn request_body() -> Option<List<(String, bool)>> {
    let (bytes, cut) = body::read().ok()?;
    Some(List((base64(&bytes, b"+/", true), cut)))
}

fn exists(ctx: Ctx<'_>, store: String, key: String) -> Result<bool> {
    key_value::exists(&store, &key).map_err(|message| Exception::throw_message(&ctx, &message))
}

/// The bytes of a text in an encoding; those of base64 also where it is spelled for URLs, and without its end.
fn encode<'js>(ctx: Ctx<'js>, text: String, encoding: String) -> Result<TypedArray<'js, u8>> {
    let bytes = match encoding.as_str() {
        "utf8" => text.into_bytes(),
        // What is no byte loses its upper bits, as in Node.
        "latin1" => text.encode_utf16().map(|unit| unit.to_le_bytes()[0]).collect(),
        "hex" => unhex(&text),
        _ => unbase64(&text),
    };
    TypedArray::new(ctx, bytes)
}

/// The text of bytes in an encoding.
fn decode(bytes: TypedArray<'_, u8>, encoding: String) -> String {
    let bytes = system::bytes(&bytes);
    match encoding.as_str() {
        "utf8" => String::from_utf8_lossy(&bytes).into_owned(),
        "latin1" => bytes.into_iter().map(char::from).collect(),
        "hex" => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        "base64" => base64(&bytes, b"+/", true),
        _ => base64(&bytes, b"-_", false),
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks_exact(2);
    pairs.map_while(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

fn unbase64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => break,
            _ => continue,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            let [.., low] = (bits >> count).to_be_bytes();
            bytes.push(low);
        }
    }
    bytes
}

fn base64(bytes: &[u8], last: &[u8; 2], padded: bool) -> String {
    let digit = |six: u32| match u8::try_from(six & 63).unwrap_or(0) {
        six @ 0..26 => b'A' + six,
        six @ 26..52 => b'a' + six - 26,
        six @ 52..62 => b'0' + six - 52,
        62 => last[0],
        _ => last[1],
    };
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |nth: usize| u32::from(group.get(nth).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for nth in 0..4_usize {
            if nth <= group.len() {
                text.push(char::from(digit(bits >> (18 - 6 * nth))));
            } else if padded {
                text.push('=');
            }
        }
    }
    text
}

fn refusal(name: String) -> String {
    modules::refusal(&name)
}

/// The object that the library gets.
pub(crate) fn object<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    object.set("fact", Func::from(fact))?;
    asked::add(&object)?;
    object.set("responseHeaders", Func::from(response_headers))?;
    object.set("changeResponseHeaders", Func::from(change_response_headers))?;
    object.set("responseCookies", Func::from(response_cookies))?;
    object.set("status", Func::from(response::status))?;
    object.set("reason", Func::from(reason))?;
    object.set("setLines", Func::from(set_lines))?;
    object.set("setPath", Func::from(set_path))?;
    object.set("setQuery", Func::from(set_query))?;
    object.set("setOrigin", Func::from(set_origin))?;
    object.set("setStatus", Func::from(set_status))?;
    object.set("setBody", Func::from(set_body))?;
    object.set("respond", Func::from(respond))?;
    object.set("knows", Func::from(knows))?;
    object.set("hash", Func::from(hash))?;
    object.set("hmac", Func::from(hmac))?;
    object.set("equal", Func::from(equal))?;
    object.set("randomBytes", Func::from(random_bytes))?;
    object.set("random", Func::from(random_number))?;
    object.set("write", Func::from(write))?;
    object.set("value", Func::from(value))?;
    object.set("exists", Func::from(exists))?;
    object.set("storeMeta", Func::from(store_meta))?;
    object.set("chooseOrigin", Func::from(choose_origin))?;
    object.set("currentOrigin", Func::from(current_origin))?;
    object.set("requestBody", Func::from(request_body))?;
    object.set("settings", Func::from(context::settings))?;
    object.set("fetch", Func::from(outgoing::send))?;
    object.set("encode", Func::from(encode))?;
    object.set("decode", Func::from(decode))?;
    object.set("refusal", Func::from(refusal))?;
    Ok(object)
}
