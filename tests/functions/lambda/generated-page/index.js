'use strict';

// An answer in base64, with a header twice.
const PIXEL = 'R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7';

exports.handler = (event, context, callback) => {
    callback(null, {
        status: '200',
        statusDescription: 'OK',
        headers: {
            'content-type': [{ key: 'Content-Type', value: 'image/gif' }],
            'set-cookie': [
                { key: 'Set-Cookie', value: 'seen=1; Path=/; Secure' },
                { key: 'Set-Cookie', value: 'first=1; Path=/; Secure' },
            ],
        },
        body: PIXEL,
        bodyEncoding: 'base64',
    });
};
