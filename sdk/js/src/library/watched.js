// Objects of header fields, cookies and query parameters by which the edge learns what a function looked at: a name when it is
// looked at first, all of them when they are listed. What is only set was not looked at, and neither is what is compared in
// the end: that takes the `target`.
//
// They are made when the hook is built and filled in a call: making them costs more than most functions do with them.
(function (native) {
    'use strict';
    const own = (object, name) => Object.prototype.hasOwnProperty.call(object, name);

    // `look` is told of a name, `all` that names are listed; `filled`: what is there may be what nobody looked at yet.
    function watched(look, all, filled) {
        const target = {};
        // Names that were looked at or set, and of those the ones that nobody looked at before.
        const known = new Set();
        const made = { proxy: undefined, target, known, blind: [], complete: false };
        const see = (name) => {
            if (known.has(name) || typeof name !== 'string') return;
            // JSON.stringify asks for it first.
            if (name === 'toJSON' && !own(target, name)) return;
            known.add(name);
            look(name);
        };
        const change = (name) => {
            if (known.has(name) || typeof name !== 'string') return;
            known.add(name);
            made.blind.push(name);
        };
        const traps = {
            get(target, name) {
                // Of fields, what is there was looked at or set; what all objects have may hide one that was not.
                const value = target[name];
                if (!filled && value !== undefined && value !== Object.prototype && typeof value !== 'function') return value;
                see(name);
                return target[name];
            },
            set(target, name, value, receiver) {
                if (receiver !== made.proxy) return Reflect.set(target, name, value, receiver);
                change(name);
                return Reflect.set(target, name, value);
            },
            has(target, name) {
                see(name);
                return name in target;
            },
            deleteProperty(target, name) {
                change(name);
                return Reflect.deleteProperty(target, name);
            },
            // What a descriptor leaves out stays as it is.
            defineProperty(target, name, descriptor) {
                see(name);
                return Reflect.defineProperty(target, name, descriptor);
            },
            getOwnPropertyDescriptor(target, name) {
                see(name);
                return Reflect.getOwnPropertyDescriptor(target, name);
            },
            preventExtensions(target) {
                complete();
                return Reflect.preventExtensions(target);
            },
            ownKeys(target) {
                complete();
                return Reflect.ownKeys(target);
            },
        };
        // What has no traps of its own loses them at once.
        const handler = Object.create(traps);
        // Nothing is left to be learned: from here on the object costs what any other does.
        function complete() {
            Object.setPrototypeOf(handler, null);
            all();
            made.complete = true;
        }
        made.proxy = new Proxy(target, handler);
        return made;
    }

    // The request's header fields, each read when it is looked at; `records` as Lambda@Edge has them.
    function fields(records) {
        const put = (name, value) => {
            if (name === '__proto__') Object.defineProperty(made.target, name, { value, writable: true, enumerable: true, configurable: true });
            else made.target[name] = value;
        };
        const look = (name) => {
            const entry = native.requestHeader(name, records);
            if (entry !== undefined) put(name, entry);
        };
        const all = () => {
            const { target, known } = made;
            if (known.size === 0) {
                native.requestHeaders(records, target);
                return;
            }
            // In the order of the request, with what the function made of them; what it added comes last.
            const had = Object.getOwnPropertyDescriptors(target);
            for (const name of Reflect.ownKeys(had)) delete target[name];
            const rest = native.requestHeaders(records, {});
            for (const name of Object.keys(rest)) {
                if (!known.has(name)) put(name, rest[name]);
                else if (own(had, name)) Object.defineProperty(target, name, had[name]);
            }
            for (const name of Reflect.ownKeys(had)) if (!own(target, name)) Object.defineProperty(target, name, had[name]);
        };
        const made = watched(look, all, false);
        return made;
    }

    // Makes the request's fields those that the function wants. `given` is what it could ask for; in another object, what it does
    // not name is as it was where it may not be changed at the stage.
    function change(given, wanted, stage, records) {
        if (wanted !== given.proxy) native.changeRequestHeaders(wanted, stage, records, undefined);
        else native.changeRequestHeaders(given.target, undefined, records, given.complete ? undefined : given.blind);
    }

    // A fact that is read when it is looked at, and that a function may overwrite for itself.
    function fact(object, name, nth) {
        return Object.defineProperty(object, name, {
            get: () => native.fact(nth),
            set: (value) => Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true }),
            enumerable: true,
            configurable: true,
        });
    }

    return { watched, fields, change, fact };
})
