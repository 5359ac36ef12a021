// A handler of all four stages, as bundles have them: CommonJS.
'use strict';
const querystring = require('querystring');

const stages = {
    'viewer-request': async ({ request }) => {
        switch (request.uri) {
            case '/fetch':
            case '/fetch-name':
            case '/fetch-other': {
                const host = { '/fetch': 'API', '/fetch-name': 'api', '/fetch-other': 'other.test' }[request.uri];
                const response = await fetch(`http://${host}/a?b`);
                return { status: String(response.status), body: (await response.json()).target };
            }
            case '/throws':
                throw new Error('not today');
            case '/wrong':
                return { status: 'none' };
        }
        const parameters = querystring.parse(request.querystring);
        request.querystring = querystring.stringify(Object.fromEntries(Object.entries(parameters).sort()));
        request.headers['x-token'] = [{ key: 'X-Token', value: process.env.TOKEN }];
        return request;
    },
    'origin-request': async ({ config, request }) => {
        request.headers['x-from'] = [{ key: 'X-From', value: config.eventType }];
        if (request.method === 'POST') {
            const form = new URLSearchParams(Buffer.from(request.body.data, 'base64').toString());
            Object.assign(request.body, { action: 'replace', encoding: 'text', data: JSON.stringify(Object.fromEntries(form)) });
        }
        return request;
    },
    'origin-response': async ({ request, response }) => {
        if (request.uri === '/missing') return { ...response, status: '404', body: 'made at origin-response' };
        response.headers['x-at-origin'] = [{ key: 'X-At-Origin', value: request.method }];
        return response;
    },
    'viewer-response': async ({ response }) => {
        response.headers['x-at-viewer'] = [{ key: 'X-At-Viewer', value: 'yes' }];
        return response;
    },
};

exports.handler = (event, context, callback) => {
    const { cf } = event.Records[0];
    stages[cf.config.eventType](cf).then((result) => callback(null, result), callback);
};
