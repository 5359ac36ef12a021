// Runs one piece of source, the body of a function, and answers whether it is true. Some say so later.
globalThis.global = globalThis;
// What compat-table's own pages have (test-utils).
globalThis.__createIterableObject = function (list, methods) {
    methods = methods || {};
    const iterable = {};
    iterable[Symbol.iterator] = function () {
        let at = -1;
        const iterator = {
            next() { at += 1; return { value: list[at], done: at >= list.length }; },
            return: methods.return,
            throw: methods.throw,
        };
        return iterator;
    };
    return iterable;
};

exports.handler = async (event) => {
    const source = Buffer.from(event.Records[0].cf.request.body.data, 'base64').toString();
    let body;
    try {
        const passed = await new Promise((resolve, reject) => {
            const value = new Function('asyncTestPassed', source)(() => resolve(true));
            if (value instanceof Promise) value.then(resolve, reject);
            else if (!source.includes('asyncTestPassed')) resolve(value);
        });
        body = passed ? 'yes' : 'no';
    } catch (error) {
        body = String(error);
    }
    return { status: '200', body };
};
