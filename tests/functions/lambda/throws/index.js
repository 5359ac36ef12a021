'use strict';

/* A callback with an error, and a rejected promise, are both 503 for the viewer. */
exports.handler = (event, context, callback) => {
    const request = event.Records[0].cf.request;
    if (request.uri === '/callback') {
        callback(new Error('called back with an error'));
        return undefined;
    }
    return request.uri === '/reject' ? Promise.reject(new RangeError('rejected')) : Promise.resolve(request);
};
