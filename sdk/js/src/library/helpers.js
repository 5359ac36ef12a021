// The module `cloudfront`: key-value stores, and the choice of an origin.
(function (native, parts) {
    'use strict';
    let stage = 0;
    let origin;

    class KeyValueStore {
        #store;

        constructor(store) {
            this.#store = store;
        }

        async get(key, options) {
            const format = options && options.format !== undefined ? options.format : 'string';
            if (format !== 'string' && format !== 'json' && format !== 'bytes') {
                throw new TypeError("format has to be 'string', 'json' or 'bytes'");
            }
            const bytes = native.value(this.#store, String(key));
            if (bytes === undefined || bytes === null) throw new Error('KeyValueStore: key not found: ' + key);
            if (format === 'bytes') return bytes;
            const value = native.decode(bytes, 'utf8');
            return format === 'json' ? JSON.parse(value) : value;
        }

        async exists(key) {
            return native.exists(this.#store, String(key));
        }

        // When a store was made nobody notes: both times are that of its last change, of a store in the config none.
        async meta() {
            const [keyCount, changed] = native.storeMeta(this.#store);
            if (changed === 0) return { keyCount };
            const time = new Date(changed).toISOString();
            return { creationDateTime: time, lastUpdatedDateTime: time, keyCount };
        }
    }

    function viewerRequest(what) {
        if (stage !== 0) throw new Error(what + ' works at viewer-request only');
    }

    function text(value, where) {
        if (typeof value !== 'string') throw new TypeError(where + ' has to be a string');
        return value;
    }

    function object(value, where) {
        if (value === null || typeof value !== 'object') throw new TypeError(where + ' has to be an object');
        return value;
    }

    function milliseconds(seconds, where) {
        if (seconds === undefined) return undefined;
        if (typeof seconds !== 'number') throw new TypeError(where + ' has to be a number of seconds');
        return Math.round(seconds * 1000);
    }

    // What there is no counterpart of, and would be missed.
    const REFUSED = {
        originAccessControlConfig: 'declare the bucket in the configuration, and choose it with selectRequestOriginById',
        sni: 'the name in TLS is always that of the host',
        allowedCertificateNames: 'a certificate has to be of the host',
    };

    // "Helper methods for origin modification": what is left out is as the origin of the behavior has it.
    function change(given, what) {
        object(given, what);
        for (const name of Object.keys(REFUSED)) {
            const off = name === 'originAccessControlConfig' && given[name] && given[name].enabled === false;
            if (given[name] !== undefined && !off) throw new Error(what + ': no `' + name + '` here: ' + REFUSED[name]);
        }
        const timeouts = given.timeouts === undefined ? {} : object(given.timeouts, '`timeouts`');
        const custom = given.customOriginConfig === undefined ? {} : object(given.customOriginConfig, '`customOriginConfig`');
        const headers = given.customHeaders === undefined ? undefined : Object.entries(object(given.customHeaders, '`customHeaders`'));
        if (headers) for (const [name, value] of headers) text(value, '`customHeaders.' + name + '`');
        return {
            host: given.domainName,
            scheme: custom.protocol,
            port: custom.port,
            path: given.originPath,
            'host-header': given.hostHeader,
            headers,
            'connect-timeout': milliseconds(timeouts.connectionTimeout, '`timeouts.connectionTimeout`'),
            'read-timeout': milliseconds(timeouts.readTimeout, '`timeouts.readTimeout`'),
        };
    }

    const module = {
        // Without an id: the only store that the binding grants.
        kvs(id) {
            return new KeyValueStore(id === undefined ? '' : String(id));
        },
        selectRequestOriginById(id, options) {
            viewerRequest('selectRequestOriginById');
            origin = text(id, 'the origin id');
            const hostHeader = options === undefined || options === null ? undefined : options.hostHeader;
            const more = hostHeader === undefined ? null : { origin: change({ hostHeader }, 'selectRequestOriginById') };
            native.chooseOrigin(JSON.stringify(more));
        },
        updateRequestOrigin(given) {
            viewerRequest('updateRequestOrigin');
            native.chooseOrigin(JSON.stringify({ origin: change(given, 'updateRequestOrigin') }));
        },
        createRequestOriginGroup(given) {
            viewerRequest('createRequestOriginGroup');
            object(given, 'createRequestOriginGroup');
            if (!Array.isArray(given.originIds)) throw new TypeError('`originIds` has to be an array');
            if (given.selectionCriteria !== undefined && given.selectionCriteria !== 'default') {
                throw new Error("createRequestOriginGroup: the only `selectionCriteria` here is 'default'");
            }
            const origins = given.originIds.map((id) => text(id !== null && typeof id === 'object' ? id.originId : id, 'an origin id'));
            const criteria = given.failoverCriteria === undefined ? {} : object(given.failoverCriteria, '`failoverCriteria`');
            const statuses = criteria.statusCodes === undefined ? [] : criteria.statusCodes;
            origin = undefined;
            native.chooseOrigin(JSON.stringify({ group: { origins, statuses } }));
        },
    };

    parts.cloudfront = module;
    return {
        start(nth) {
            stage = nth;
        },
        finish() {
            if (origin !== undefined) native.setOrigin(origin);
        },
    };
})
