'use strict';

const querystring = require('querystring');

/* The parameters in the order of the alphabet, in lower case. */
exports.handler = (event, context, callback) => {
    const request = event.Records[0].cf.request;
    const params = querystring.parse(request.querystring.toLowerCase());
    const sortedParams = {};
    Object.keys(params).sort().forEach((key) => {
        sortedParams[key] = params[key];
    });
    request.querystring = querystring.stringify(sortedParams);
    callback(null, request);
};
