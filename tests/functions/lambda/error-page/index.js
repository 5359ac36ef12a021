'use strict';

/* Errors of the origin: a page in place of a 404, a redirect in place of a 403. */
exports.handler = (event, context, callback) => {
    const { request, response } = event.Records[0].cf;

    if (response.status === '404') {
        response.status = '200';
        response.statusDescription = 'OK';
        response.headers['content-type'] = [{ key: 'Content-Type', value: 'text/html' }];
        response.body = '<p>Nothing here (yet).</p>';
    } else if (response.status === '403') {
        response.status = '302';
        response.statusDescription = 'Found';
        response.body = '';
        response.headers['location'] = [{ key: 'Location', value: `/sign-in?from=${encodeURIComponent(request.uri)}` }];
    }
    callback(null, response);
};
