'use strict';

/* Pictures in the width that fits the device: ?d=200x200 becomes /images/200x200/webp/name.jpg. */
const ALLOWED = [{ w: 100, h: 100 }, { w: 200, h: 200 }, { w: 400, h: 400 }];

exports.handler = async (event) => {
    const { request } = event.Records[0].cf;
    const parameters = new URLSearchParams(request.querystring);
    const match = request.uri.match(/(.*)\/(.*)\.(.*)/);
    if (!parameters.has('d') || !match) {
        return request;
    }
    const [, prefix, name, extension] = match;
    const width = Number(parameters.get('d').split('x')[0]);
    const phone = request.headers['cloudfront-is-mobile-viewer']?.[0].value === 'true';
    const size = ALLOWED.find(({ w }) => Math.abs(w - width) <= w * 0.05) ?? (phone ? ALLOWED[0] : ALLOWED[1]);
    const accept = request.headers.accept?.[0].value ?? '';
    const url = [prefix, `${size.w}x${size.h}`];
    url.push(accept.includes('webp') ? 'webp' : extension, `${name}.${extension}`);
    request.uri = url.join('/');
    parameters.delete('d');
    request.querystring = parameters.toString();
    return request;
};
