// The module `querystring`, as in Node.
(function () {
    'use strict';

    function unescape(text) {
        try {
            return decodeURIComponent(text);
        } catch {
            return text.replace(/%[0-9a-f]{2}/gi, (code) => String.fromCharCode(parseInt(code.slice(1), 16)));
        }
    }

    function escape(text) {
        return encodeURIComponent(String(text));
    }

    function parse(text, separator, equals, options) {
        const result = Object.create(null);
        if (typeof text !== 'string' || text === '') return result;
        const decode = (options && options.decodeURIComponent) || unescape;
        const most = options && typeof options.maxKeys === 'number' ? options.maxKeys : 1000;
        let parts = text.split(separator || '&');
        if (most > 0 && parts.length > most) parts = parts.slice(0, most);
        const sign = equals || '=';
        for (const part of parts) {
            if (part === '') continue;
            const at = part.indexOf(sign);
            const raw = at < 0 ? [part, ''] : [part.slice(0, at), part.slice(at + sign.length)];
            const [key, value] = raw.map((piece) => decode(piece.replace(/\+/g, ' ')));
            if (!(key in result)) result[key] = value;
            else if (Array.isArray(result[key])) result[key].push(value);
            else result[key] = [result[key], value];
        }
        return result;
    }

    function plain(value) {
        const is = typeof value;
        return is === 'string' || is === 'boolean' || is === 'bigint' || (is === 'number' && isFinite(value))
            ? String(value)
            : '';
    }

    function stringify(object, separator, equals, options) {
        if (object === null || typeof object !== 'object') return '';
        const encode = (options && options.encodeURIComponent) || module.escape;
        const pairs = [];
        for (const key of Object.keys(object)) {
            const name = encode(key) + (equals || '=');
            for (const value of Array.isArray(object[key]) ? object[key] : [object[key]]) {
                pairs.push(name + encode(plain(value)));
            }
        }
        return pairs.join(separator || '&');
    }

    const module = { parse, stringify, escape, unescape, decode: parse, encode: stringify };
    return module;
})
